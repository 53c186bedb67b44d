// Rows to columns, handed over by the Arrow C Data Interface.
#pragma once

#include "result.hpp"

namespace reader {

// As the interface has it: https://arrow.apache.org/docs/format/CDataInterface.html
struct ArrowSchema {
  const char *format;
  const char *name;
  const char *metadata;
  i64 flags;
  i64 n_children;
  ArrowSchema **children;
  ArrowSchema *dictionary;
  void (*release)(ArrowSchema *);
  void *private_data;
};

struct ArrowArray {
  i64 length;
  i64 null_count;
  i64 offset;
  i64 n_buffers;
  i64 n_children;
  const void **buffers;
  ArrowArray **children;
  ArrowArray *dictionary;
  void (*release)(ArrowArray *);
  void *private_data;
};

constexpr i64 NULLABLE = 2;

// A column, or a table of them, with all that it owns.
struct Held {
  void *buffers[3];
  ArrowArray **children;
};

inline void release_array(ArrowArray *array) {
  for (i64 i = 0; i < array->n_children; i++) {
    ArrowArray *child = array->children[i];
    if (child) {
      if (child->release) child->release(child);
      std::free(child);
    }
  }
  Held *held = static_cast<Held *>(array->private_data);
  for (void *buffer : held->buffers) std::free(buffer);
  std::free(held->children);
  std::free(held);
  array->release = nullptr;
}

inline void release_schema(ArrowSchema *schema) {
  for (i64 i = 0; i < schema->n_children; i++) {
    ArrowSchema *child = schema->children[i];
    if (child) {
      if (child->release) child->release(child);
      std::free(child);
    }
  }
  std::free(schema->children);
  std::free(const_cast<char *>(schema->name));
  schema->release = nullptr;
}

struct Arrow {
  Contract const &contract;
  Result &result;

  // Tell how many columns a table becomes: its own, those that tell of offsets, and its parent.
  u32 width(u32 number) const {
    const Table &table = contract.tables[number];
    u32 count = table.columns + 1;
    for (u32 i = 0; contract.offsets && i < table.columns; i++)
      count += contract.columns[table.first_column + i].kind == Kind::TIME;
    return count;
  }

  void schema(u32 number, ArrowSchema *to) {
    const Table &table = contract.tables[number];
    start(to, "+s", nullptr, 0, "", width(number));
    u32 child = 0;
    add(to, child++, "l", number ? "_parent" : "_record");
    for (u32 i = 0; i < table.columns; i++) {
      const Column &column = contract.columns[table.first_column + i];
      add(to, child++, format(column.kind), column.name, column.length, "");
      if (contract.offsets && column.kind == Kind::TIME)
        add(to, child++, "b", column.name, column.length, "_in_utc");
    }
  }

  void array(u32 number, ArrowArray *to) {
    const Table &table = contract.tables[number];
    u32 rows = result.count(contract, number);
    start(to, rows, 1, width(number));
    u32 child = 0;
    u64 full = ~u64(0); // columns of which all is there
    const u64 *row = result.rows[number].data;
    for (u32 i = 0; i < rows; i++, row += table.stride()) full &= row[THERE];
    wholes(add(to, child++, rows, 2), number, PARENT);
    for (u32 i = 0; i < table.columns; i++) {
      Kind kind = contract.columns[table.first_column + i].kind;
      ArrowArray *column = add(to, child++, rows, kind == Kind::TEXT ? 3 : 2);
      if (!(full >> i & 1)) there(column, number, i, THERE);
      if (kind == Kind::TEXT) texts(column, number, HEAD + i);
      else if (kind == Kind::BOOLEAN) truths(column, number, HEAD + i);
      else wholes(column, number, HEAD + i);
      if (contract.offsets && kind == Kind::TIME) {
        // The bits that tell what is there lie as truths do.
        ArrowArray *shifted = add(to, child++, rows, 2);
        there(shifted, number, i, SHIFTED);
        shifted->null_count = 0;
        Held *held = static_cast<Held *>(shifted->private_data);
        held->buffers[1] = held->buffers[0];
        held->buffers[0] = nullptr;
        shifted->buffers[0] = nullptr;
        shifted->buffers[1] = held->buffers[1];
        if (!held->buffers[1]) {
          held->buffers[1] = zeros((rows + 7) / 8);
          shifted->buffers[1] = held->buffers[1];
        }
      }
    }
  }

private:
  Memory &memory() { return result.memory; }

  void *allocate(std::size_t size) { return memory().resize(nullptr, 0, size ? size : 1); }

  void *zeros(std::size_t size) {
    void *made = allocate(size);
    std::memset(made, 0, size ? size : 1);
    return made;
  }

  static const char *no_metadata() { return nullptr; }

  const char *format(Kind kind) const {
    switch (kind) {
    case Kind::TEXT: return "u";
    case Kind::INTEGER: return "l";
    case Kind::POINTS: return contract.decimal ? "g" : "l";
    case Kind::AMOUNT: return "g";
    case Kind::TIME: return "tsu:";
    default: return "b";
    }
  }

  void start(ArrowSchema *to, const char *format, const u8 *name, u32 length, const char *ending,
             u32 children) {
    std::memset(static_cast<void *>(to), 0, sizeof *to);
    // Whatever is missing when memory runs out, what is there can be released.
    to->release = release_schema;
    to->format = format;
    to->flags = NULLABLE;
    std::size_t more = std::strlen(ending);
    char *copy = static_cast<char *>(allocate(length + more + 1));
    if (length) std::memcpy(copy, name, length);
    std::memcpy(copy + length, ending, more + 1);
    to->name = copy;
    if (!children) return;
    to->children = static_cast<ArrowSchema **>(zeros(children * sizeof(ArrowSchema *)));
    to->n_children = children;
  }

  void add(ArrowSchema *to, u32 number, const char *format, const u8 *name, u32 length,
           const char *ending) {
    to->children[number] = static_cast<ArrowSchema *>(zeros(sizeof(ArrowSchema)));
    start(to->children[number], format, name, length, ending, 0);
  }

  void add(ArrowSchema *to, u32 number, const char *format, const char *name) {
    add(to, number, format, nullptr, 0, name);
    to->children[number]->flags = 0;
  }

  void start(ArrowArray *to, u32 rows, i64 buffers, u32 children) {
    std::memset(static_cast<void *>(to), 0, sizeof *to);
    Held *held = static_cast<Held *>(zeros(sizeof(Held)));
    to->private_data = held;
    to->release = release_array;
    to->length = rows;
    to->n_buffers = buffers;
    to->buffers = const_cast<const void **>(held->buffers);
    if (!children) return;
    held->children = static_cast<ArrowArray **>(zeros(children * sizeof(ArrowArray *)));
    to->children = held->children;
    to->n_children = children;
  }

  ArrowArray *add(ArrowArray *to, u32 number, u32 rows, i64 buffers) {
    to->children[number] = static_cast<ArrowArray *>(zeros(sizeof(ArrowArray)));
    start(to->children[number], rows, buffers, 0);
    return to->children[number];
  }

  void *buffer(ArrowArray *column, int number, std::size_t size) {
    void *made = allocate(size);
    static_cast<Held *>(column->private_data)->buffers[number] = made;
    return made;
  }

  void wholes(ArrowArray *column, u32 number, u32 cell) {
    std::size_t rows = static_cast<std::size_t>(column->length);
    std::size_t stride = contract.tables[number].stride();
    u64 *to = static_cast<u64 *>(buffer(column, 1, rows * 8));
    const u64 *row = result.rows[number].data;
    // What is not there is zero, so that equal tables have equal bytes.
    if (cell < HEAD) {
      for (std::size_t i = 0; i < rows; i++, row += stride) to[i] = row[cell];
      return;
    }
    for (std::size_t i = 0; i < rows; i++, row += stride)
      to[i] = row[cell] & (0 - (row[THERE] >> (cell - HEAD) & 1));
  }

  void truths(ArrowArray *column, u32 number, u32 cell) {
    std::size_t rows = static_cast<std::size_t>(column->length);
    std::size_t stride = contract.tables[number].stride();
    u8 *to = static_cast<u8 *>(buffer(column, 1, (rows + 7) / 8));
    std::memset(to, 0, (rows + 7) / 8);
    const u64 *row = result.rows[number].data;
    for (std::size_t i = 0; i < rows; i++, row += stride)
      if ((row[THERE] >> (cell - HEAD) & 1) && row[cell]) to[i / 8] |= static_cast<u8>(1 << i % 8);
  }

  // Write which values are there.
  void there(ArrowArray *column, u32 number, u32 bit, u32 cell) {
    std::size_t rows = static_cast<std::size_t>(column->length);
    std::size_t stride = contract.tables[number].stride();
    u8 *bits = static_cast<u8 *>(zeros((rows + 7) / 8));
    Held *held = static_cast<Held *>(column->private_data);
    held->buffers[0] = bits;
    const u64 *row = result.rows[number].data;
    std::size_t count = 0;
    for (std::size_t i = 0; i < rows; i++, row += stride) {
      u64 is = row[cell] >> bit & 1;
      count += is;
      bits[i / 8] |= static_cast<u8>(is << i % 8);
    }
    column->null_count = static_cast<i64>(rows - count);
  }

  void texts(ArrowArray *column, u32 number, u32 cell) {
    std::size_t rows = static_cast<std::size_t>(column->length);
    std::size_t stride = contract.tables[number].stride();
    i32 *offsets = static_cast<i32 *>(buffer(column, 1, (rows + 1) * 4));
    const u64 *row = result.rows[number].data;
    u64 size = 0;
    u32 bit = cell - HEAD;
    for (std::size_t i = 0; i < rows; i++, row += stride) {
      offsets[i] = static_cast<i32>(size);
      u64 length = row[cell] << 1 >> 33;
      size += length & (0 - (row[THERE] >> bit & 1));
      if (size > 0x7fffffffu) memory().fail(TOO_LARGE_BLOCK);
    }
    offsets[rows] = static_cast<i32>(size);
    // Short texts are copied thirty-two bytes at a time.
    u8 *to = static_cast<u8 *>(buffer(column, 2, size + 32));
    row = result.rows[number].data;
    const u8 *input_end = result.input + result.input_size;
    const u8 *texts_end = result.texts.data + result.texts.size;
    for (std::size_t i = 0; i < rows; i++, row += stride) {
      if (!(row[THERE] >> bit & 1)) continue;
      u64 text = row[cell];
      std::size_t length = static_cast<std::size_t>(text << 1 >> 33);
      bool decoded = text & DECODED;
      const u8 *from = (decoded ? result.texts.data : result.input) + (text & 0xffffffffu);
      const u8 *end = decoded ? texts_end : input_end;
      if (length <= 32 && end - from >= 32) std::memcpy(to, from, 32);
      else std::memcpy(to, from, length);
      to += length;
    }
  }
};

} // namespace reader
