// The contract, as the binding hands it over: which fields are read, into which tables.
#pragma once

#include "names.hpp"
#include "values.hpp"

namespace reader {

enum class What : u8 { VALUE, OBJECT, LIST, UNUSED, WRAPPER };

constexpr int MOST_FIELDS = 64;
constexpr u32 MOST_TABLES = 64;
constexpr u32 NONE = 0xffffffff;

struct Field {
  const u8 *name;
  u32 length;
  What what;
  Kind kind;  // of a value
  u32 column; // of a value; of a list, where it is told that it was there, or none
  u32 object; // of an object or a list; of a wrapper, the field that it wraps
  Mask starts, ends; // bits of the name's bytes: the first sixteen, those after them
  u8 padded[32];
};

// An object at one place of the tree.
struct Object {
  u32 table;
  Field *fields;
  u32 count;
  u64 *groups; // columns of which one has to be there
  u32 group_count;
  u64 telling; // fields of which one has to be there among others that are not known
  u32 unless;  // but where this truth is told and false
  u32 ranks;   // column that may hold but the place of such an object in its list, or none
  u8 slots[128]; // fields by the hash of their names, plus one
};

// What a row begins with: a bit for each value that is there, one for each time that has an offset,
// and the row of its parent, or of a record its number.
enum : u32 { THERE, SHIFTED, PARENT, HEAD };

struct Column {
  Kind kind;
  const u8 *name;
  u32 length;
};

// The records have table 0; of the others each is a list in another.
struct Table {
  u32 parent;
  u32 end; // of the tables that hang below it
  u32 first_column;
  u32 columns;
  u32 stride() const { return columns + HEAD; }
};

struct Contract {
  Memory memory;
  u8 *names = nullptr;
  std::size_t names_size = 0;
  Buffer<Table> tables;
  Buffer<Object> objects;
  Buffer<Field> fields;
  Buffer<u64> groups;
  Buffer<Column> columns;
  Span root_name{nullptr, 0}; // of the field that is the answer
  u32 root_field = 0;  // of the record, the field that is the answer
  u32 root_object = 0;
  u32 failed = NONE;   // column of the root that tells a failed answer
  u64 somebody = 0;    // fields of the root of which one has to be an object, if its lists are empty
  NoTimes no_times{};
  bool decimal = false;
  bool offsets = false;

  void release() {
    std::free(names);
    tables.release();
    objects.release();
    fields.release();
    groups.release();
    columns.release();
  }
};

// Tell whether a text that ends before `end` is a field's name.
inline bool is_named(const u8 *at, u32 length, const u8 *end, const Field &field) {
  if (length != field.length) return false;
  if (length > 32 || end - at < 32) return !std::memcmp(at, field.name, length);
  if (field.starts & ~mask_of(equal(load(at), load(field.padded)))) return false;
  return length <= 16 || !(field.ends & ~mask_of(equal(load(at + 16), load(field.padded + 16))));
}

// Find a field by its name: its number, or -1.
inline int find_field(const Object &object, const u8 *at, u32 length, const u8 *end) {
  for (u32 slot = hash_of(at, length);; slot++) {
    u8 found = object.slots[slot & 127];
    if (!found) return -1;
    if (is_named(at, length, end, object.fields[found - 1])) return found - 1;
  }
}

// Reads the declaration, of which nothing is believed.
struct Declaration {
  Memory &memory;
  const u8 *at;
  const u8 *end;

  u32 word(u32 below = NONE) {
    if (end - at < 4) memory.fail(BAD_DECLARATION);
    u32 value = static_cast<u32>(at[0]) | static_cast<u32>(at[1]) << 8 |
                static_cast<u32>(at[2]) << 16 | static_cast<u32>(at[3]) << 24;
    at += 4;
    if (below != NONE && value >= below) memory.fail(BAD_DECLARATION);
    return value;
  }

  u64 mask() {
    u64 low = word();
    return low | static_cast<u64>(word()) << 32;
  }

  const u8 *name(const Contract &contract, u32 &length) {
    u32 start = word();
    length = word();
    if (start > contract.names_size || length > contract.names_size - start)
      memory.fail(BAD_DECLARATION);
    return contract.names + start;
  }
};

inline void read_contract(Contract &contract, const u8 *data, std::size_t size) {
  Declaration said{contract.memory, data, data + size};
  Memory &memory = contract.memory;
  u32 tables = said.word(MOST_TABLES + 1), objects = said.word(4096), fields = said.word(65536);
  u32 groups = said.word(65536), columns = said.word(65536);
  contract.names_size = said.word();
  if (!tables || !objects || contract.names_size > size) memory.fail(BAD_DECLARATION);
  contract.names = static_cast<u8 *>(memory.resize(nullptr, 0, contract.names_size));
  std::memcpy(contract.names, data + size - contract.names_size, contract.names_size);
  contract.root_field = said.word(MOST_FIELDS);
  contract.root_object = said.word(objects);
  contract.failed = said.word();
  contract.somebody = said.mask();
  contract.decimal = said.word(2) != 0;
  contract.offsets = said.word(2) != 0;
  NoTimes &none = contract.no_times;
  none.first = static_cast<i64>(said.mask());
  none.last = static_cast<i64>(said.mask());
  none.count = said.word(17);
  for (u32 i = 0; i < none.count; i++) {
    u32 length;
    none.dates[i].data = said.name(contract, length);
    none.dates[i].size = length;
  }
  contract.tables.reserve(memory, tables);
  contract.objects.reserve(memory, objects);
  contract.fields.reserve(memory, fields);
  contract.groups.reserve(memory, groups);
  contract.columns.reserve(memory, columns);
  for (u32 i = 0, first = 0; i < tables; i++) {
    Table &table = contract.tables.add(memory);
    table.parent = said.word();
    if (i ? table.parent >= i : table.parent != NONE) memory.fail(BAD_DECLARATION);
    table.end = said.word(tables + 1);
    if (table.end <= i) memory.fail(BAD_DECLARATION);
    table.first_column = first;
    table.columns = said.word(MOST_FIELDS + 1);
    first += table.columns;
    if (first > columns) memory.fail(BAD_DECLARATION);
  }
  for (u32 i = 0; i < columns; i++) {
    Column &column = contract.columns.add(memory);
    column.kind = static_cast<Kind>(said.word(6));
    column.name = said.name(contract, column.length);
  }
  u32 first_field = 0, first_group = 0;
  for (u32 i = 0; i < objects; i++) {
    Object &object = contract.objects.add(memory);
    object.table = said.word(tables);
    object.count = said.word(MOST_FIELDS + 1);
    object.group_count = said.word(65536);
    object.telling = said.mask();
    object.unless = said.word();
    object.ranks = said.word();
    if (object.ranks != NONE && object.ranks >= contract.tables[object.table].columns)
      memory.fail(BAD_DECLARATION);
    if (object.unless != NONE && object.unless >= contract.tables[object.table].columns)
      memory.fail(BAD_DECLARATION);
    object.fields = contract.fields.data + first_field;
    object.groups = contract.groups.data + first_group;
    first_field += object.count;
    first_group += object.group_count;
    if (first_field > fields || first_group > groups) memory.fail(BAD_DECLARATION);
    std::memset(object.slots, 0, sizeof object.slots);
  }
  for (u32 i = 0; i < objects; i++) {
    Object &object = contract.objects[i];
    for (u32 j = 0; j < object.count; j++) {
      Field &field = contract.fields.add(memory);
      field.name = said.name(contract, field.length);
      field.what = static_cast<What>(said.word(5));
      field.kind = static_cast<Kind>(said.word(6));
      field.column = field.object = 0;
      u32 target = said.word(), told = said.word();
      if (field.what == What::LIST && told != NONE) {
        const Table &table = contract.tables[object.table];
        if (told >= table.columns || contract.columns[table.first_column + told].kind != Kind::BOOLEAN)
          memory.fail(BAD_DECLARATION);
      }
      u32 most = field.what == What::VALUE    ? contract.tables[object.table].columns
                 : field.what == What::UNUSED ? NONE
                 : field.what == What::WRAPPER ? object.count
                                              : objects;
      if (target >= most && most != NONE) memory.fail(BAD_DECLARATION);
      // Objects hold only what comes after them, so that there is no circle.
      if ((field.what == What::OBJECT || field.what == What::LIST) && target <= i)
        memory.fail(BAD_DECLARATION);
      (field.what == What::VALUE ? field.column : field.object) = target;
      if (field.what == What::LIST) field.column = told;
      field.starts = first_bytes(field.length);
      field.ends = first_bytes(field.length > 16 ? field.length - 16 : 0);
      std::memset(field.padded, 0, sizeof field.padded);
      std::memcpy(field.padded, field.name, field.length < 32 ? field.length : 32);
      u32 slot = hash_of(field.name, field.length);
      while (object.slots[slot & 127]) slot++;
      object.slots[slot & 127] = static_cast<u8>(j + 1);
    }
  }
  for (u32 i = 0; i < groups; i++) contract.groups.add(memory, said.mask());
  if (first_field != fields || first_group != groups || !contract.objects[0].count)
    memory.fail(BAD_DECLARATION);
  for (u32 i = 0; i < objects; i++)
    for (u32 j = 0; j < contract.objects[i].count; j++) {
      const Field &field = contract.objects[i].fields[j];
      u32 of = contract.objects[i].table;
      if (field.what == What::OBJECT && i && contract.objects[field.object].table != of)
        memory.fail(BAD_DECLARATION);
      if (field.what == What::LIST && contract.tables[contract.objects[field.object].table].parent != of)
        memory.fail(BAD_DECLARATION);
      if (field.what == What::WRAPPER && contract.objects[i].fields[field.object].what != What::LIST)
        memory.fail(BAD_DECLARATION);
    }
  // The way to a value is no longer than what is kept of it.
  u8 depth[4096] = {};
  for (u32 i = 0; i < objects; i++)
    for (u32 j = 0; j < contract.objects[i].count; j++) {
      const Field &field = contract.objects[i].fields[j];
      if (field.what != What::OBJECT && field.what != What::LIST) continue;
      if (depth[field.object] <= depth[i]) depth[field.object] = static_cast<u8>(depth[i] + 1);
      if (depth[field.object] > 24) memory.fail(BAD_DECLARATION);
    }
  const Object &record = contract.objects[0];
  const Object &root = contract.objects[contract.root_object];
  if (contract.root_field >= record.count ||
      record.fields[contract.root_field].what != What::OBJECT ||
      record.fields[contract.root_field].object != contract.root_object || root.table != 0 ||
      (contract.failed != NONE && contract.failed >= contract.tables[0].columns))
    memory.fail(BAD_DECLARATION);
  const Field &answer = record.fields[contract.root_field];
  contract.root_name = {answer.name, answer.length};
  if (!answer.length || answer.length > 32) memory.fail(BAD_DECLARATION);
  // What starts a record is nothing else.
  for (u32 i = 1; i < objects; i++)
    if (find_field(contract.objects[i], answer.name, answer.length, answer.name) >= 0)
      memory.fail(BAD_DECLARATION);
}

} // namespace reader
