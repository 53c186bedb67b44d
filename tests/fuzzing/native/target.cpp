// What libFuzzer tries on the native reader: any bytes, in any form, with any memory, and a look at
// all that it gives. Three bytes before the input tell its form, the memory, and both the declaration
// and where the input is cut in two; see run.py, which writes such inputs.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace std {

// All that the reader allocates comes through here: counted, and refused when that is tried.
long allocated = 0;
long until_refused = -1;

inline bool is_refused() { return until_refused >= 0 && until_refused-- == 0; }

inline void *counted_calloc(size_t count, size_t size) {
  if (is_refused()) return nullptr;
  allocated++;
  return calloc(count, size);
}

inline void *counted_realloc(void *old, size_t size) {
  if (is_refused()) return nullptr;
  if (!old) allocated++;
  // A block that moves shows who kept its old place.
  void *moved = malloc(size);
  if (!moved) abort();
  if (old) {
    extern size_t size_of(void *);
    size_t had = size_of(old);
    memcpy(moved, old, had < size ? had : size);
    free(old);
  }
  return moved;
}

inline void counted_free(void *block) {
  if (block) allocated--;
  free(block);
}

} // namespace std

extern "C" std::size_t __sanitizer_get_allocated_size(const volatile void *);
std::size_t std::size_of(void *block) { return __sanitizer_get_allocated_size(block); }

#define calloc counted_calloc
#define realloc counted_realloc
#define free counted_free
#include "reader.cpp"
#undef calloc
#undef realloc
#undef free

namespace {

#define REQUIRE(truth)                                                                             \
  if (!(truth)) {                                                                                  \
    std::fprintf(stderr, "not so at line %d: %s\n", __LINE__, #truth);                             \
    std::abort();                                                                                  \
  }

Contract *contracts[4];

std::string read_file(const std::string &path) {
  std::string content;
  FILE *file = std::fopen(path.c_str(), "rb");
  REQUIRE(file);
  char part[4096];
  for (std::size_t size; (size = std::fread(part, 1, sizeof part, file));) content.append(part, size);
  std::fclose(file);
  return content;
}

bool is_utf8(const u8 *at, const u8 *end) {
  while (at < end) {
    u8 c = *at++;
    if (c < 0x80) continue;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
    if (c < 0xc2 || c > 0xf4 || end - at < more) return false;
    u8 next = *at;
    if ((c == 0xe0 && next < 0xa0) || (c == 0xed && next > 0x9f) || (c == 0xf0 && next < 0x90) ||
        (c == 0xf4 && next > 0x8f))
      return false;
    for (; more; more--)
      if ((*at++ & 0xc0) != 0x80) return false;
  }
  return true;
}

bool bit(const void *bits, i64 at) { return static_cast<const u8 *>(bits)[at / 8] >> at % 8 & 1; }

// Look at each value of a column.
void walk(const ArrowArray &column, const ArrowSchema &schema) {
  REQUIRE(column.offset == 0 && column.n_children == 0 && schema.n_children == 0);
  REQUIRE(schema.name);
  i64 missing = 0;
  for (i64 i = 0; column.buffers[0] && i < column.length; i++) missing += !bit(column.buffers[0], i);
  REQUIRE(column.null_count == missing);
  REQUIRE((schema.flags & NULLABLE) || !missing);
  const void *values = column.buffers[1];
  if (schema.format[0] == 'u') {
    const i32 *offsets = static_cast<const i32 *>(values);
    const u8 *texts = static_cast<const u8 *>(column.buffers[2]);
    REQUIRE(column.n_buffers == 3 && offsets[0] == 0);
    for (i64 i = 0; i < column.length; i++) {
      REQUIRE(offsets[i] <= offsets[i + 1]);
      REQUIRE(is_utf8(texts + offsets[i], texts + offsets[i + 1]));
    }
    return;
  }
  REQUIRE(column.n_buffers == 2);
  u64 sum = 0;
  for (i64 i = 0; i < column.length; i++)
    sum += schema.format[0] == 'b' ? bit(values, i) : static_cast<const u64 *>(values)[i];
  static volatile u64 looked_at;
  looked_at = looked_at + sum;
}

std::size_t size_of(const Result *result, int part, const u8 **data) {
  std::size_t size = 0;
  *data = static_cast<const u8 *>(reader_part(result, part, &size));
  return size;
}

// Look at all that a read gave; false where there was no memory to give it.
bool walk(const Contract &contract, Result *result, std::size_t size, bool trusted) {
  bool whole = true;
  std::vector<i64> rows;
  for (u32 number = 0; number < contract.tables.size; number++) {
    ArrowArray table;
    ArrowSchema schema;
    int outcome = reader_table(&contract, result, number, &table, &schema);
    REQUIRE(outcome == DONE || outcome == NO_MEMORY || outcome == TOO_LARGE_BLOCK);
    rows.push_back(outcome ? 0 : table.length);
    whole = whole && !outcome;
    if (outcome) continue;
    REQUIRE(table.n_children == schema.n_children);
    for (i64 i = 0; i < table.n_children; i++) {
      REQUIRE(table.children[i]->length == table.length);
      walk(*table.children[i], *schema.children[i]);
    }
    const i64 *parents = static_cast<const i64 *>(table.children[0]->buffers[1]);
    i64 above = number ? rows[contract.tables[number].parent] : reader_records(result) + i64(1);
    for (i64 i = 0; whole && trusted && i < table.length; i++) {
      REQUIRE(parents[i] >= (number ? 0 : 1) && parents[i] < above);
      REQUIRE(!i || parents[i] >= parents[i - 1]);
    }
    table.release(&table);
    schema.release(&schema);
  }
  const u8 *words, *part;
  std::size_t said = size_of(result, WORDS, &words);
  std::size_t count = size_of(result, REJECTS, &part);
  for (std::size_t i = 0; i < count; i++) {
    const Reject &one = reinterpret_cast<const Reject *>(part)[i];
    REQUIRE(one.reason > 0 && one.table < contract.tables.size);
    REQUIRE(one.record >= 1 && one.record <= reader_records(result));
    REQUIRE(one.start <= one.end && one.end <= (one.flags & RAW_SAID ? said : size));
    REQUIRE(one.place <= size);
    REQUIRE(one.value <= said && one.value_size <= said - one.value);
    REQUIRE(one.path <= said && one.path_size <= said - one.path);
  }
  count = size_of(result, UNKNOWN, &part);
  for (std::size_t i = 0; i < count; i++) {
    const Unknown &one = reinterpret_cast<const Unknown *>(part)[i];
    REQUIRE(one.object < contract.objects.size && one.count > 0);
    REQUIRE(one.name <= said && one.size <= said - one.name);
    REQUIRE(one.first <= reader_records(result));
  }
  return whole;
}

// Tell all that a read gave, whatever the order of its words.
std::string told(const Contract &contract, Result *result) {
  std::string all = std::to_string(reader_records(result));
  auto add = [&](const void *data, std::size_t count) {
    all.append(static_cast<const char *>(data), count).append("|");
  };
  for (u32 number = 0; number < contract.tables.size; number++) {
    ArrowArray table;
    ArrowSchema schema;
    REQUIRE(!reader_table(&contract, result, number, &table, &schema));
    for (i64 i = 0; i < table.n_children; i++) {
      const ArrowArray &column = *table.children[i];
      const void *const *buffers = column.buffers;
      std::size_t rows = static_cast<std::size_t>(column.length), bits = (rows + 7) / 8;
      if (buffers[0]) add(buffers[0], bits);
      char format = schema.children[i]->format[0];
      if (format == 'u') {
        add(buffers[1], 4 * (rows + 1));
        add(buffers[2], static_cast<std::size_t>(static_cast<const i32 *>(buffers[1])[rows]));
      } else {
        add(buffers[1], format == 'b' ? bits : 8 * rows);
      }
    }
    table.release(&table);
    schema.release(&schema);
  }
  const u8 *words, *part;
  size_of(result, WORDS, &words);
  for (std::size_t i = 0, count = size_of(result, REJECTS, &part); i < count; i++) {
    Reject one = reinterpret_cast<const Reject *>(part)[i];
    add(words + one.value, one.value_size);
    add(words + one.path, one.path_size);
    if (one.flags & RAW_SAID) add(words + one.start, one.end - one.start), one.start = one.end = 0;
    one.value = one.path = 0;
    add(&one, sizeof one);
  }
  std::vector<std::string> unknown;
  for (std::size_t i = 0, count = size_of(result, UNKNOWN, &part); i < count; i++) {
    const Unknown &one = reinterpret_cast<const Unknown *>(part)[i];
    unknown.push_back(std::to_string(one.object) + " " + std::to_string(one.first) + " " +
                      std::to_string(one.count) + " " +
                      std::string(reinterpret_cast<const char *>(words) + one.name, one.size));
  }
  std::sort(unknown.begin(), unknown.end());
  for (const std::string &one : unknown) add(one.data(), one.size());
  return all;
}

// Read bytes, of which none may be read beyond the last.
void read(const Contract &contract, const u8 *data, std::size_t size, u32 form, u8 memory, u8 cut,
          bool trusted) {
  u8 *exact = static_cast<u8 *>(std::malloc(size ? size : 1));
  if (size) std::memcpy(exact, data, size);
  u32 middle = static_cast<u32>(size * cut / 256), end = static_cast<u32>(size);
  Stretch stretches[2] = {{0, middle, form}, {middle, end, form}};
  std::size_t limit = memory >= 200 && memory < 228 ? (memory - 199) * 1024u : SIZE_MAX / 4;
  std::until_refused = memory >= 228 ? memory - 228 : -1;
  Result *result;
  int outcome = reader_read(&contract, exact, size, cut ? stretches : stretches + 1, cut ? 2 : 1,
                            limit, &result);
  REQUIRE(outcome == DONE || (outcome == NO_MEMORY && memory >= 200));
  REQUIRE(!outcome == !!result);
  if (result) {
    bool whole = walk(contract, result, size, trusted);
    REQUIRE(whole || memory >= 200);
    // What is read directly is what the tape gives.
    if (memory < 200 && !(form & (XML | BY_TAPE))) {
      for (Stretch &one : stretches) one.form |= BY_TAPE;
      Result *taped;
      REQUIRE(!reader_read(&contract, exact, size, cut ? stretches : stretches + 1, cut ? 2 : 1,
                           limit, &taped));
      REQUIRE(told(contract, result) == told(contract, taped));
      reader_free(taped);
    }
    reader_free(result);
  }
  std::until_refused = -1;
  std::free(exact);
}

} // namespace

extern "C" int LLVMFuzzerInitialize(int *, char ***) {
  const char *folder = std::getenv("READER_DECLARATIONS");
  REQUIRE(folder);
  for (int number = 0; number < 4; number++) {
    std::string declaration = read_file(std::string(folder) + "/" + std::to_string(number));
    const u8 *data = reinterpret_cast<const u8 *>(declaration.data());
    REQUIRE(!reader_open(data, declaration.size(), &contracts[number]));
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const u8 *data, std::size_t size) {
  if (size < 3) return 0;
  u8 first = data[0], memory = data[1], cut = data[2];
  long before = std::allocated;
  if (first == 255) {
    // The input is a declaration, by which a sample is read.
    static const char SAMPLE[] = "{\"response\": {\"customer\": [{\"redemptions\": [{\"id\": 1}]}]}}";
    Contract *contract;
    std::until_refused = memory >= 228 ? memory - 228 : -1;
    int outcome = reader_open(data + 3, size - 3, &contract);
    std::until_refused = -1;
    if (!outcome)
      read(*contract, reinterpret_cast<const u8 *>(SAMPLE), sizeof SAMPLE - 1, 0, memory, cut, false);
    reader_close(contract);
  } else {
    read(*contracts[cut & 3], data + 3, size - 3, first, memory, cut & 252, true);
  }
  REQUIRE(std::allocated == before);
  return 0;
}
