// The C ABI: all that is seen from outside. It reads JSON and XML by a contract that it is handed.

#include "arrow.hpp"
#include "blake2b.hpp"
#include "hash.hpp"
#include "records.hpp"

#include <new>

using namespace reader;

#if defined(_WIN32)
#define PUBLIC extern "C" __declspec(dllexport)
#else
#define PUBLIC extern "C" __attribute__((visibility("default")))
#endif

// What a caller asks for of a result.
enum Part : int { REJECTS = 0, WORDS = 1, UNKNOWN = 2, STARTS = 3 };

// A stretch of the text, in which records are written in one form.
struct Stretch {
  u32 start;
  u32 end;
  u32 form;
};

PUBLIC int reader_open(const u8 *declaration, std::size_t size, Contract **opened) {
  *opened = nullptr;
  Contract *contract = static_cast<Contract *>(std::calloc(1, sizeof(Contract)));
  if (!contract) return NO_MEMORY;
  contract->memory.limit = SIZE_MAX / 4;
  contract->failed = NONE;
  if (int outcome = setjmp(contract->memory.out)) {
    contract->release();
    std::free(contract);
    return outcome;
  }
  read_contract(*contract, declaration, size);
  *opened = contract;
  return DONE;
}

PUBLIC void reader_close(Contract *contract) {
  if (!contract) return;
  contract->release();
  std::free(contract);
}

namespace {

void read(const Contract &contract, Result &result, Work &work, const Stretch *stretches, u32 count) {
  work.conformer.prepare();
  const u8 *data = result.input;
  for (u32 i = 0; i < count; i++) {
    const Stretch &one = stretches[i];
    result.starts.add(result.memory, result.records);
    Records{contract, result, work, one.form, data, data + one.start, data + one.end}.read();
  }
}

bool lie_within(const Stretch *stretches, u32 count, std::size_t size) {
  for (u32 i = 0; i < count; i++)
    if (stretches[i].start > stretches[i].end || stretches[i].end > size) return false;
  return true;
}

} // namespace

PUBLIC int reader_read(const Contract *contract, const u8 *data, std::size_t size,
                       const Stretch *stretches, u32 count, std::size_t limit, Result **given) {
  *given = nullptr;
  if (size > 0x7fffffffu || !lie_within(stretches, count, size)) return TOO_LARGE_BLOCK;
  Result *result = static_cast<Result *>(std::calloc(1, sizeof(Result)));
  Work *work = static_cast<Work *>(std::calloc(1, sizeof(Work)));
  int outcome = NO_MEMORY;
  if (result && work) {
    new (&work->conformer) Conformer(*contract, *result);
    result->input = data;
    result->input_size = size;
    result->memory.limit = limit;
    outcome = setjmp(result->memory.out);
    if (!outcome) read(*contract, *result, *work, stretches, count);
  }
  if (work) {
    work->release();
    std::free(work);
  }
  if (outcome) {
    if (result) result->release();
    std::free(result);
    return outcome;
  }
  *given = result;
  return DONE;
}

PUBLIC u32 reader_records(const Result *result) { return result->records; }

PUBLIC int reader_table(const Contract *contract, Result *result, u32 table, ArrowArray *array,
                        ArrowSchema *schema) {
  array->release = nullptr;
  schema->release = nullptr;
  if (int outcome = setjmp(result->memory.out)) {
    if (array->release) array->release(array);
    if (schema->release) schema->release(schema);
    return outcome;
  }
  Arrow arrow{*contract, *result};
  arrow.schema(table, schema);
  arrow.array(table, array);
  return DONE;
}

PUBLIC const void *reader_part(const Result *result, int part, std::size_t *size) {
  switch (part) {
  case REJECTS: return *size = result->rejects.size, result->rejects.data;
  case UNKNOWN: return *size = result->unknown.size, result->unknown.data;
  case STARTS: return *size = result->starts.size, result->starts.data;
  default: return *size = result->words.size, result->words.data;
  }
}

PUBLIC void reader_free(Result *result) {
  if (!result) return;
  result->release();
  std::free(result);
}

// Write the BLAKE2b digests of texts that lie end to end: 32 hexadecimal digits for each.
PUBLIC void reader_digests(const i32 *offsets, const u8 *texts, std::size_t count, u8 *to) {
  for (std::size_t i = 0; i < count; i++)
    blake2b_hex(texts + offsets[i], static_cast<std::size_t>(offsets[i + 1] - offsets[i]), to + 32 * i);
}

// Write a hash of each of the texts that lie end to end.
PUBLIC void reader_hashes(const i32 *offsets, const u8 *texts, std::size_t count, u64 *to) {
  for (std::size_t i = 0; i < count; i++)
    to[i] = hash(texts + offsets[i], static_cast<std::size_t>(offsets[i + 1] - offsets[i]));
}
