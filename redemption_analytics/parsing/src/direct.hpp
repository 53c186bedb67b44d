// JSON to rows in one pass, for records as nearly all are written: known fields, each once, values
// that fit. All else is left to the tape, which reads such a record anew, from its beginning.
#pragma once

#include "conform.hpp"
#include "json.hpp"

namespace reader {

struct Direct {
  // `of` passes over what is not read.
  Direct(Conformer &into, const Json &of, const u8 *stop) : conformer(into), json(of), end(stop) {}

  // Read the record that begins with a brace; give where it ends. Nothing was done, if that is
  // nullptr. A record that is read so holds no start of another.
  const u8 *record(const u8 *start, const Source &source) {
    u32 counts[MOST_TABLES];
    std::size_t texts = result.texts.size, words = result.words.size;
    conformer.source = source;
    decoded = source.decoded;
    conformer.depth = 0;
    conformer.notes.size = 0;
    conformer.mark(0, counts);
    result.records++;
    const u8 *after = whole(start, counts);
    if (after && is_utf8(start, after, false)) {
      conformer.tell_notes();
      return after;
    }
    result.records--;
    conformer.take_back(0, counts);
    result.texts.size = texts;
    result.words.size = words;
    return nullptr;
  }

private:
  Conformer &conformer;
  Json json;
  const u8 *end;
  bool decoded = false;
  const Contract &contract = conformer.contract;
  Result &result = conformer.result;
  // Of the object that was read last: its fields, and whether it has some that are not known.
  u64 seen = 0;
  bool foreign = false;

  const u8 *whole(const u8 *start, const u32 *counts) {
    bool answered = false;
    const Field &answer = contract.objects[0].fields[contract.root_field];
    const u8 *after = fields(start, 0, [&](const u8 *at, const Field &field) {
      if (&field != &answer) return passed(at);
      answered = true;
      return *at == '{' ? root(at) : nullptr;
    });
    if (!after || !answered) return nullptr;
    for (u32 table = 1; table < contract.tables.size; table++)
      if (contract.tables[table].parent == 0 && result.rows[table].size > counts[table]) return after;
    return nullptr; // an answer of nobody
  }

  const u8 *root(const u8 *at) {
    u32 row_number = result.count(contract, 0);
    conformer.add_row(0, result.records);
    return into_row(at, contract.root_object, row_number);
  }

  // Go through the fields of an object, each of which may come once; `read` reads a value.
  template <class Read> [[gnu::always_inline]] const u8 *fields(const u8 *at, u32 number, Read read) {
    const Object &object = contract.objects[number];
    // For each field the one that came after it last.
    u16 *follows = conformer.next.data + number * (MOST_FIELDS + 1), *expected = follows;
    u64 met = 0;
    bool strange = false;
    for (bool first = true;; first = false) {
      if (end - at < ROOM) return nullptr;
      at += 1 + (at[1] == ' ');
      if (*at != '"' && (end - (at = skip_space(at, end)) < ROOM || *at != '"')) return nullptr;
      u32 field = *expected;
      const Field &likely = object.fields[field];
      if (field < object.count && is_quoted(at + 1, likely)) {
        at += likely.length + 2;
      } else {
        const u8 *name = at + 1;
        at = string_stop(name, end);
        field = unexpected({name, static_cast<std::size_t>(at - name)}, number, first);
        if (field > MOST_FIELDS || end - at < ROOM || *at++ != '"') return nullptr;
        if (field == MOST_FIELDS) strange = true;
        else *expected = static_cast<u16>(field);
      }
      if (*at != ':' && (end - (at = skip_space(at, end)) < LEFT || *at != ':')) return nullptr;
      at += 1 + (at[1] == ' ');
      if (*at <= ' ' && end - (at = skip_spaces(at, end)) < LEFT) return nullptr;
      if (field == MOST_FIELDS) {
        at = passed(at);
      } else {
        expected = follows + field + 1;
        u64 bit = u64(1) << field;
        if (met & bit) return nullptr;
        met |= bit;
        at = read(at, object.fields[field]);
      }
      if (!at || at == end) return nullptr;
      if (*at != ',' && (at = skip_space(at, end)) == end) return nullptr;
      if (*at == ',') continue;
      seen = met;
      foreign = strange;
      return *at == '}' ? at + 1 : nullptr;
    }
  }

  // So much is there before a key, and where its colon or its value begins: what is nearer to the end
  // is for the tape.
  static constexpr std::ptrdiff_t ROOM = 66, LEFT = 24;
  static constexpr u32 LONGEST_NAME = 32;

  [[gnu::always_inline]] static bool is_quoted(const u8 *at, const Field &field) {
    if (field.length > LONGEST_NAME || at[field.length] != '"') return false;
    if (field.starts & ~mask_of(equal(load(at), load(field.padded)))) return false;
    return field.length <= 16 || !(field.ends & ~mask_of(equal(load(at + 16), load(field.padded + 16))));
  }

  static constexpr u32 STARTS_RECORD = MOST_FIELDS + 1;

  // Find the field that a key names; MOST_FIELDS if it is not known.
  [[gnu::noinline]] u32 unexpected(Span name, u32 number, bool first) {
    int found = find_field(contract.objects[number], name.data, static_cast<u32>(name.size), end);
    if (found >= 0) return static_cast<u32>(found);
    if (first && starts_record(name)) return STARTS_RECORD;
    conformer.notes.add(result.memory, {number, name});
    return MOST_FIELDS;
  }

  bool starts_record(Span key) const {
    const Span &name = contract.root_name;
    return key.size == name.size && !std::memcmp(key.data, name.data, name.size);
  }

  const u8 *into_row(const u8 *at, u32 number, u32 row_number) {
    const Object &object = contract.objects[number];
    u64 *row = conformer.row_of(object.table, row_number);
    return fields(at, number, [&](const u8 *value, const Field &field) {
      return field.what == What::VALUE ? single(value, field, row) : of_field(value, field, row, row_number);
    });
  }

  // Read an object that is not empty: an element of a list, or a part of one.
  const u8 *object(const u8 *at, u32 number, u32 row_number) {
    at = into_row(at, number, row_number);
    if (!at) return nullptr;
    const Object &object = contract.objects[number];
    const u64 *row = conformer.row_of(object.table, row_number);
    for (u32 i = 0; i < object.group_count; i++)
      if (!(row[THERE] & object.groups[i])) return nullptr;
    return object.telling && foreign && !(seen & object.telling) ? nullptr : at;
  }

  [[gnu::always_inline]] const u8 *single(const u8 *at, const Field &field, u64 *row) {
    if (*at == '"' && field.kind == Kind::TEXT) {
      const u8 *stop = string_stop(++at, end);
      if (stop < end && *stop == '"') {
        if (stop == at) return stop + 1;
        if (*at > ' ' && !decoded) {
          row[THERE] |= u64(1) << field.column;
          row[HEAD + field.column] =
              text_cell(static_cast<u64>(at - json.base), static_cast<u64>(stop - at), false);
          return stop + 1;
        }
      }
      at--;
    } else if (field.kind == Kind::INTEGER || (field.kind == Kind::POINTS && !contract.decimal)) {
      u64 number;
      if (const u8 *after = digits_end(at, number)) {
        row[THERE] |= u64(1) << field.column;
        row[HEAD + field.column] = number;
        return after;
      }
    }
    return any(at, field, row);
  }

  // Read a number of a few digits, maybe as a text, of which all is there; nullptr if it is something else.
  [[gnu::always_inline]] static const u8 *digits_end(const u8 *at, u64 &number) {
    bool quoted = *at == '"';
    const u8 *first = at + quoted, *digit = first;
    number = 0;
    while (is_digit(*digit) && digit - first < 18) number = number * 10 + (*digit++ - '0');
    if (digit == first) return nullptr;
    if (quoted) return *digit == '"' ? digit + 1 : nullptr;
    return (*digit == ',' || *digit == '}') && (*first != '0' || digit - first == 1) ? digit : nullptr;
  }

  [[gnu::noinline]] const u8 *any(const u8 *at, const Field &field, u64 *row) {
    Node value;
    const u8 *after = scanned(at, value);
    if (!after) return empty_end(at);
    return conformer.plain(value, field, row) || conformer.scalar(value, field, row, 0) ? after : nullptr;
  }

  [[gnu::noinline]] const u8 *of_field(const u8 *at, const Field &field, u64 *row, u32 row_number) {
    switch (field.what) {
    case What::UNUSED: return passed(at);
    case What::OBJECT:
      if (*at != '{') return nothing_end(at);
      if (const u8 *after = empty_end(at)) return after;
      return object(at, field.object, row_number);
    case What::LIST:
      if (*at == 'n') return nothing_end(at);
      if (field.column != NONE) {
        row[THERE] |= u64(1) << field.column;
        row[HEAD + field.column] = 1;
      }
      return list(at, field.object, row_number);
    default: return nullptr;
    }
  }

  const u8 *list(const u8 *at, u32 number, u32 parent) {
    Conformer::Items items{number, parent, result.count(contract, contract.objects[number].table)};
    if (*at != '[') return *at == '{' && !may_be_numbered(at) ? item(at, items) : nullptr;
    if (const u8 *after = empty_end(at)) return after;
    do {
      at = skip_space(at + 1, end);
      if (at >= end || *at != '{') return nullptr;
      at = item(at, items);
      if (!at) return nullptr;
      at = skip_space(at, end);
      if (at >= end) return nullptr;
    } while (*at == ',');
    return *at == ']' ? at + 1 : nullptr;
  }

  bool may_be_numbered(const u8 *at) const {
    at = skip_space(at + 1, end);
    return end - at > 1 && is_digit(at[1]);
  }

  const u8 *item(const u8 *at, Conformer::Items &items) {
    items.met++;
    if (const u8 *after = empty_end(at)) return after;
    const Object &of = contract.objects[items.object];
    u32 row_number = result.count(contract, of.table);
    conformer.add_row(of.table, items.parent);
    at = object(at, items.object, row_number);
    if (at) conformer.give_rank(of, items);
    return at;
  }

  // ---- values

  // Find the end of a text, a number or a word; nullptr if it is none of them.
  [[gnu::always_inline]] const u8 *scanned(const u8 *at, Node &value) {
    value.size = 1;
    value.flags = 0;
    value.field = 0;
    value.type = Type::STRING;
    const u8 *stop;
    if (*at == '"') {
      stop = string_stop(++at, end);
      if (stop >= end || *stop != '"') {
        stop = json.escaped_end(stop, end);
        value.flags = ESCAPED;
      }
    } else if (*at == '{' || *at == '[') {
      return nullptr;
    } else {
      stop = json.plain_end(at, end, value.type);
      if (value.type == Type::STRING) value.flags = CONSTANT;
    }
    if (!stop) return nullptr;
    value.start = static_cast<u32>(at - json.base);
    value.end = static_cast<u32>(stop - json.base);
    return stop + (value.type == Type::STRING && value.flags != CONSTANT);
  }

  // Find the end of an object or an array that holds nothing; nullptr if it holds something.
  const u8 *empty_end(const u8 *at) const {
    if (*at != '{' && *at != '[') return nullptr;
    const u8 *close = skip_space(at + 1, end);
    return close < end && *close == (*at == '{' ? '}' : ']') ? close + 1 : nullptr;
  }

  const u8 *nothing_end(const u8 *at) const {
    if (end - at >= 4 && !std::memcmp(at, "null", 4)) return at + 4;
    return *at == '[' ? empty_end(at) : nullptr;
  }

  // Pass over a value that is not read.
  const u8 *passed(const u8 *at) {
    Node value;
    if (const u8 *after = scanned(at, value)) return after;
    if (const u8 *after = empty_end(at)) return after;
    const u8 *after = json.value(at, end);
    if (!after) return nullptr;
    const Buffer<Node> &nodes = json.tape.nodes;
    for (std::size_t i = 1; i < nodes.size; i++) {
      const Node &key = nodes[i];
      if (key.type == Type::KEY && nodes[i - 1].type == Type::OBJECT &&
          starts_record({json.base + key.start, key.end - key.start}))
        return nullptr;
    }
    return after;
  }
};

} // namespace reader
