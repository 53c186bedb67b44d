// The C ABI: all that is seen from outside. It reads JSON and XML by a contract that it is handed.

#include "arrow.hpp"
#include "records.hpp"

#include <new>

using namespace reader;

#if defined(_WIN32)
#define PUBLIC extern "C" __declspec(dllexport)
#else
#define PUBLIC extern "C" __attribute__((visibility("default")))
#endif

// What a caller asks for of a result.
enum Part : int { REJECTS = 0, WORDS = 1, UNKNOWN = 2, TEXTS = 3 };

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

// What one read needs beside its result.
struct Work {
  Tape tape;
  Conformer conformer;
};

void read(const Contract &contract, Result &result, Work &work, u32 form) {
  work.conformer.prepare();
  Records{contract, result, work.conformer, work.tape, form}.read();
}

} // namespace

PUBLIC int reader_read(const Contract *contract, const u8 *data, std::size_t size, u32 form,
                       std::size_t limit, Result **given) {
  *given = nullptr;
  if (size > 0x7fffffffu) return TOO_LARGE_BLOCK;
  Result *result = static_cast<Result *>(std::calloc(1, sizeof(Result)));
  Work *work = static_cast<Work *>(std::calloc(1, sizeof(Tape) + sizeof(Conformer)));
  int outcome = NO_MEMORY;
  if (result && work) {
    new (&work->conformer) Conformer(*contract, *result);
    result->input = data;
    result->input_size = size;
    result->memory.limit = limit;
    outcome = setjmp(result->memory.out);
    if (!outcome) read(*contract, *result, *work, form);
  }
  if (work) {
    work->tape.release();
    work->conformer.release();
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
  case TEXTS: return *size = result->texts.size, result->texts.data;
  default: return *size = result->words.size, result->words.data;
  }
}

PUBLIC void reader_free(Result *result) {
  if (!result) return;
  result->release();
  std::free(result);
}
