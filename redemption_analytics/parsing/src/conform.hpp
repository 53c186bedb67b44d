// From a record's tape to rows: what the contract allows is read, what it does not is refused,
// element by element. An element that is refused takes only itself out, and what hangs below it.
#pragma once

#include "markup.hpp"
#include "result.hpp"

namespace reader {

// Where a record's text lies: in the input, or among the decoded texts.
struct Source {
  const u8 *base;
  const u8 *end;
  bool decoded;
  bool xml;
  u32 start; // of the record's text, from the base
  u32 stop;
  u32 place; // of the record, in the input
};

struct Conformer {
  const Contract &contract;
  Result &result;
  Buffer<u16> next; // of each field of each object, the one that came after it last
  Buffer<Span> names; // of unknown fields
  Buffer<u8 *> key_texts; // of keys with escapes
  Names numbers; // of a list that is written as an object
  Source source{};

  Conformer(const Contract &by, Result &into) : contract(by), result(into) {}

  void prepare() {
    std::size_t count = contract.objects.size * (MOST_FIELDS + 1);
    next.reserve(memory(), count);
    next.size = count;
    for (std::size_t i = 0; i < count; i++) next[i] = static_cast<u16>(i % (MOST_FIELDS + 1));
  }

  void record(Node *top, const Source &from) {
    source = from;
    depth = 0;
    u32 rejects = static_cast<u32>(result.rejects.size);
    notes.size = 0;
    u32 counts[MOST_TABLES];
    mark(0, counts);
    if (!answer(top, rejects)) {
      take_back(0, counts);
      result.rejects.size = rejects;
      refuse(0, source.start, source.stop);
    }
    if (result.rejects.size == rejects) {
      tell_notes();
    } else {
      // Not all was looked at.
      if (top->type == Type::OBJECT) meet_unknown(top, 0);
    }
    forget_keys();
  }

  void refuse_record(Reason reason, const Source &from) {
    source = from;
    depth = 0;
    fail(reason, nullptr, source.start);
    refuse(0, source.start, source.stop);
  }

  void release() {
    next.release();
    names.release();
    numbers.release();
    notes.release();
    forget_keys();
    key_texts.release();
  }

private:
  friend struct Direct;

  struct Step {
    Span name; // or, without one, the position in a list
    u32 position;
  };
  struct Note {
    u32 object;
    Span name;
  };

  Step path[64];
  int depth = 0;
  Reject unfit{};
  Buffer<Note> notes;
  bool failed = false; // the answer says that it failed

  Memory &memory() { return result.memory; }

  // ---- rows

  void mark(u32 table, u32 *counts) {
    for (u32 t = table; t < contract.tables[table].end; t++)
      counts[t] = static_cast<u32>(result.rows[t].size);
  }

  void take_back(u32 table, const u32 *counts) {
    for (u32 t = table; t < contract.tables[table].end; t++) result.rows[t].size = counts[t];
  }

  u64 *add_row(u32 table, u64 parent) {
    Buffer<u64> &rows = result.rows[table];
    u32 stride = contract.tables[table].stride();
    if (rows.size + stride > 0xfffffff0u) memory().fail(TOO_LARGE_BLOCK);
    rows.reserve(memory(), rows.size + stride);
    u64 *row = rows.data + rows.size;
    rows.size += stride;
    row[THERE] = row[SHIFTED] = 0;
    row[PARENT] = parent;
    return row;
  }

  // ---- refusals

  bool fail(Reason reason, const Node *value, u32 place, u32 parameter = 0) {
    unfit = Reject();
    unfit.reason = reason;
    unfit.place = source.decoded ? source.place : place;
    unfit.parameter = parameter;
    unfit.flags = IS_HIDDEN;
    if (value && value->type != Type::OBJECT && value->type != Type::ARRAY) {
      bool text = value->type == Type::STRING;
      unfit.flags = text ? u32(IS_TEXT) : 0;
      std::size_t before = result.texts.size;
      Span shown = text ? text_of(*value) : raw(*value);
      unfit.value = result.say(shown.data, shown.size);
      unfit.value_size = static_cast<u32>(shown.size);
      result.texts.size = before;
    }
    say_path();
    return false;
  }

  void say_path() {
    unfit.path = static_cast<u32>(result.words.size);
    result.say(reinterpret_cast<const u8 *>("$"), 1);
    for (int i = 0; i < depth; i++) {
      if (path[i].name.data) {
        result.say(reinterpret_cast<const u8 *>("."), 1);
        result.say(path[i].name.data, path[i].name.size);
        continue;
      }
      u8 written[16];
      int length = 0;
      u32 left = path[i].position;
      written[15] = ']';
      do written[14 - length++] = static_cast<u8>('0' + left % 10);
      while (left /= 10);
      written[14 - length] = '[';
      result.say(written + 14 - length, static_cast<std::size_t>(length) + 2);
    }
    unfit.path_size = static_cast<u32>(result.words.size) - unfit.path;
  }

  void refuse(u32 table, u32 start, u32 end) {
    unfit.table = table;
    unfit.record = result.records;
    unfit.start = start;
    unfit.end = end;
    if (source.decoded) {
      // What was decoded is not kept.
      unfit.start = result.say(source.base + start, end - start);
      unfit.end = unfit.start + (end - start);
      unfit.flags |= RAW_SAID;
    }
    result.rejects.add(memory(), unfit);
  }

  void step(const Field &field) { path[depth++] = {{field.name, field.length}, 0}; }
  void step(Span name) { path[depth++] = {name, 0}; }
  void step(u32 position) { path[depth++] = {{nullptr, 0}, position}; }

  // Where a value begins and ends, with quotes or tags.
  void whole(const Node &value, u32 &start, u32 &end) {
    start = value.start;
    end = value.end;
    if (value.type != Type::STRING || (value.flags & CONSTANT)) return;
    if (!source.xml) {
      start--;
      end++;
      return;
    }
    while (source.base[start] != '<') start--;
    while (source.base[end] != '<') end++;
    while (source.base[end++] != '>') {}
  }

  u32 start_of(const Node &value) {
    u32 start, end;
    whole(value, start, end);
    return start;
  }

  // ---- texts

  Span raw(const Node &value) { return {source.base + value.start, value.end - value.start}; }

  bool text_holds_half = false;

  // Give a text without escapes; what had some is the last of the decoded texts then.
  Span text_of(const Node &value) {
    Span text = raw(value);
    text_holds_half = false;
    if (!(value.flags & (ESCAPED | MARKUP))) return text;
    u8 *to = result.room(text.size + SLACK);
    std::size_t length;
    if (value.flags & ESCAPED) {
      text_holds_half = !unescape(text.data, text.data + text.size, to, length);
      text = {to, length};
    } else {
      length = unmark(text.data, text.data + text.size, to);
      text = unicode_stripped({to, length});
    }
    result.texts.size += length;
    return text;
  }

  // ---- fields

  bool is_nothing(const Node &value) {
    for (const Node *one = &value, *end = one + value.size; one < end; one++) {
      if (one->type == Type::NOTHING || one->type == Type::ARRAY || one->type == Type::KEY) continue;
      if (one->type == Type::OBJECT && one->size == 1) continue;
      if (one->type != Type::STRING || (one->flags & CONSTANT)) return false;
      std::size_t before = result.texts.size;
      Span text = stripped(text_of(*one));
      result.texts.size = before;
      if (text.size) return false;
    }
    return true;
  }

  // Tell which field each key is. `twice` are fields that come again: in JSON they are refused, for
  // nothing tells which is meant; in XML they are lists.
  bool resolve(Node *of, u32 number, u64 &seen, u64 &twice, bool &foreign) {
    const Object &object = contract.objects[number];
    const u8 *base = source.base, *end_of_text = source.end;
    // For each field the one that came after it last.
    u16 *follows = next.data + number * (MOST_FIELDS + 1), *expected = follows;
    u64 met = 0, again = 0;
    names.size = 0;
    for (Node *key = of + 1, *end = of + of->size; key < end; key += 1 + key[1].size) {
      u32 field = *expected;
      if (field >= object.count || (key->flags & ESCAPED) ||
          !is_named(base + key->start, key->end - key->start, end_of_text, object.fields[field])) {
        field = unexpected(*key, object);
        if (field == MOST_FIELDS) {
          key->field = MOST_FIELDS;
          continue;
        }
        *expected = static_cast<u16>(field);
      }
      key->field = static_cast<u16>(field);
      expected = follows + field + 1;
      u64 bit = u64(1) << field;
      again |= met & bit;
      met |= bit;
    }
    seen = met;
    twice = again;
    foreign = names.size != 0;
    return !twice || source.xml || demand_once(of, object, twice);
  }

  // Find the field that a key names; MOST_FIELDS, if it is not known.
  [[gnu::noinline]] u32 unexpected(const Node &key, const Object &object) {
    Span name = name_of(key);
    int found = find_field(object, name.data, static_cast<u32>(name.size),
                           key.flags & ESCAPED ? name.data + name.size : source.end);
    if (found >= 0) return static_cast<u32>(found);
    names.add(memory(), name);
    return MOST_FIELDS;
  }

  // Refuse an object in which a field comes twice that is read.
  bool demand_once(Node *of, const Object &object, u64 twice) {
    Node *end = of + of->size;
    for (Node *first = of + 1; first < end; first += 1 + first[1].size) {
      if (first->field >= MOST_FIELDS || !(twice >> first->field & 1)) continue;
      const Field &field = object.fields[first->field];
      if (field.what == What::UNUSED) continue;
      Node *second = first + 1 + first[1].size;
      while (second->field != first->field) second += 1 + second[1].size;
      step(field);
      fail(TWICE, nullptr, start_of(second[1]));
      depth--;
      return false;
    }
    return true;
  }

  Span name_of(const Node &key) {
    Span text = raw(key);
    if (!(key.flags & ESCAPED)) return text;
    u8 *&to = key_texts.add(memory());
    to = nullptr;
    to = static_cast<u8 *>(memory().resize(nullptr, 0, text.size + SLACK));
    memory().used -= text.size + SLACK; // it is forgotten with the record
    std::size_t length;
    unescape(text.data, text.data + text.size, to, length);
    return {to, length};
  }

  void forget_keys() {
    for (std::size_t i = 0; i < key_texts.size; i++) std::free(key_texts[i]);
    key_texts.size = 0;
  }

  void note_unknown(u32 object) {
    for (std::size_t i = 0; i < names.size; i++) notes.add(memory(), {object, names[i]});
  }

  void tell_notes() {
    for (std::size_t i = 0; i < notes.size; i++) tell(notes[i].object, notes[i].name);
  }

  void tell(u32 object, Span name) {
    u32 said = result.say(name.data, name.size);
    std::size_t before = result.unknown.size;
    result.meet(object, said, static_cast<u32>(name.size));
    if (result.unknown.size == before) result.words.size = said;
  }

  // Count the unknown fields of what is an object, or of the objects in a list.
  void meet_unknown(Node *value, u32 number) {
    bool keyed = value->type == Type::OBJECT || (value->flags & KEYED);
    if (value->type == Type::ARRAY || is_numbered(*value)) {
      for (Node *at = value + 1 + keyed, *end = value + value->size; at < end; at += keyed + at->size)
        if (at->type == Type::OBJECT) meet_unknown_in(at, number);
    } else if (value->type == Type::OBJECT) {
      meet_unknown_in(value, number);
    }
  }

  void meet_unknown_in(Node *value, u32 number) {
    u64 seen, twice;
    bool foreign;
    std::size_t words = result.words.size;
    resolve(value, number, seen, twice, foreign);
    result.words.size = words;
    for (std::size_t i = 0; i < names.size; i++) tell(number, names[i]);
    const Object &object = contract.objects[number];
    for (Node *key = value + 1, *end = value + value->size; key < end; key += 1 + key[1].size) {
      if (key->field >= object.count) continue;
      const Field &field = object.fields[key->field];
      // What XML repeats is a list, and a list within a list is none of objects.
      if (source.xml && (twice >> key->field & 1) && key[1].type == Type::ARRAY) continue;
      if (field.what == What::OBJECT || field.what == What::LIST) meet_unknown(key + 1, field.object);
      if (field.what == What::WRAPPER) meet_unknown_in_wrapper(key + 1, object.fields[field.object]);
    }
  }

  void meet_unknown_in_wrapper(Node *value, const Field &inner) {
    if (!unwrap(value, inner).wraps) {
      meet_unknown(value, inner.object);
      return;
    }
    for (Node *key = value + 1, *end = value + value->size; key < end; key += 1 + key[1].size)
      if (key->field == 0) meet_unknown(key + 1, inner.object);
  }

  // Tell an object of JSON whose keys are numbers: PHP writes a list with gaps so.
  bool is_numbered(const Node &value) {
    if (value.type != Type::OBJECT || value.size == 1 || source.xml) return false;
    for (const Node *key = &value + 1, *end = &value + value.size; key < end; key += 1 + key[1].size) {
      Span name = name_of(*key);
      if (!name.size) return false;
      for (std::size_t i = 0; i < name.size; i++)
        if (!is_digit(name.data[i])) return false;
    }
    return true;
  }

  // Tell an element of XML that holds several of another: as a value, it comes twice.
  bool is_repeated(const Node &value) {
    return source.xml && value.type == Type::ARRAY && value.size > 2 &&
           value.size > 2 + (&value)[2].size;
  }

  // ---- elements

  // Read an object that is not empty into a row.
  bool object(Node *of, u32 number, u32 row_number) {
    u64 seen, twice;
    bool foreign;
    if (!resolve(of, number, seen, twice, foreign)) return false;
    note_unknown(number);
    const Object &object = contract.objects[number];
    u64 *row = row_of(object.table, row_number);
    for (Node *key = of + 1, *end = of + of->size; key < end; key += 1 + key[1].size) {
      if (key->field >= MOST_FIELDS) continue;
      if (!twice && plain(key[1], object.fields[key->field], row)) continue;
      if (!read(of, key, end, object, row_number, twice)) return false;
    }
    return demand(of, object, number, row_number, seen, foreign);
  }

  bool read(Node *of, Node *key, Node *end, const Object &object, u32 row_number, u64 twice) {
    const Field &field = object.fields[key->field];
    if (field.what == What::UNUSED || field.what == What::WRAPPER) return true;
    Node *value = key + 1;
    step(field);
    bool fits = true;
    u64 bit = u64(1) << key->field;
    if (field.what == What::LIST && field.column != NONE && value->type != Type::NOTHING) {
      u64 *row = row_of(object.table, row_number);
      row[THERE] |= u64(1) << field.column;
      row[HEAD + field.column] = 1;
    }
    if (twice & bit) {
      // In XML this is a list; the others of it are passed over when they come.
      fits = several(of, key, end, field, row_number);
    } else if (value->type == Type::NOTHING) {
    } else if (field.what == What::VALUE) {
      fits = scalar(*value, field, row_of(object.table, row_number), start_of_value(of, value));
    } else if (field.what == What::LIST) {
      fits = list(of, value, field.object, row_number);
    } else {
      fits = part(of, value, field.object, row_number);
    }
    depth--;
    return fits;
  }

  // Lists have no place of their own in XML.
  u32 start_of_value(const Node *of, const Node *value) {
    return source.xml && value->type == Type::ARRAY ? of->start : start_of(*value);
  }

  // Read the values of a field that XML repeats.
  bool several(Node *of, Node *key, Node *end, const Field &field, u32 row_number) {
    u16 number = key->field;
    // Only the first of them stands for all.
    for (Node *before = of + 1; before < key; before += 1 + before[1].size)
      if (before->field == number) return true;
    if (field.what != What::LIST) return fail(TWICE, nullptr, of->start);
    Items items{field.object, row_number, result.count(contract, contract.objects[field.object].table)};
    for (Node *at = key; at < end; at += 1 + at[1].size) {
      if (at->field != number) continue;
      step(items.met);
      item(of, at + 1, items);
      depth--;
    }
    return true;
  }

  static Reason no_list(Kind kind) {
    switch (kind) {
    case Kind::TEXT: return NO_TEXT;
    case Kind::TIME: return NO_TIME;
    case Kind::BOOLEAN: return NO_TRUTH;
    default: return NO_NUMBER;
    }
  }

  u64 *row_of(u32 table, u32 number) {
    return result.rows[table].data + static_cast<std::size_t>(number) * contract.tables[table].stride();
  }

  bool demand(const Node *of, const Object &object, u32 number, u32 row_number, u64 seen, bool foreign) {
    const u64 *row = row_of(object.table, row_number);
    for (u32 i = 0; i < object.group_count; i++)
      if (!(row[THERE] & object.groups[i]))
        return fail(MISSING, nullptr, of->start, number << 8 | i);
    if (!object.telling || !foreign || (seen & object.telling) || failed) return true;
    u32 unless = object.unless;
    if (unless != NONE && (row[THERE] >> unless & 1) && !row[HEAD + unless]) return true;
    return fail(FOREIGN_ELEMENT, nullptr, of->start, number);
  }

  // Read an object that is a part of another.
  bool part(Node *of, Node *value, u32 number, u32 row_number) {
    if (is_repeated(*value)) return fail(TWICE, nullptr, of->start);
    if (value->type != Type::OBJECT)
      return is_nothing(*value) || fail(NO_OBJECT, nullptr, start_of_value(of, value));
    return value->size == 1 || object(value, number, row_number);
  }

  // The elements of a list that were met so far.
  struct Items {
    u32 object;
    u32 parent; // row
    u32 before; // how many rows the table had
    u32 met = 0;
  };

  // Read the elements of a list, or the bare object that stands for a list of one.
  bool list(Node *of, Node *value, u32 number, u32 parent) {
    Items items{number, parent, result.count(contract, contract.objects[number].table)};
    bool numbered = is_numbered(*value);
    if (value->type != Type::ARRAY && !numbered) {
      item(of, value, items);
      return true;
    }
    Node *end = value + value->size;
    if (numbered && !demand_numbers_once(value)) return false;
    bool keyed = numbered || (value->flags & KEYED);
    for (Node *at = value + 1 + keyed; at < end; at += keyed + at->size) {
      if (numbered) step(name_of(at[-1]));
      else step(items.met);
      item(source.xml ? of : value, at, items);
      depth--;
    }
    return true;
  }

  bool demand_numbers_once(Node *of) {
    u32 first = Names::NEW; // of the numbers that come again
    numbers.clear();
    for (Node *key = of + 1, *end = of + of->size; key < end; key += 1 + key[1].size) {
      u32 before = numbers.add(memory(), name_of(*key));
      if (before < first) first = before;
    }
    if (first == Names::NEW) return true;
    Span name = numbers[first];
    Node *key = of + 1;
    for (u32 met = 0;; key += 1 + key[1].size) {
      Span other = name_of(*key);
      if (other.size == name.size && !std::memcmp(other.data, name.data, name.size) && met++) break;
    }
    step(name);
    fail(TWICE, nullptr, start_of(key[1]));
    depth--;
    return false;
  }

  void item(Node *of, Node *value, Items &items) {
    const Object &object = contract.objects[items.object];
    items.met++;
    if (value->type == Type::OBJECT && value->size == 1) return;
    u32 rejects = static_cast<u32>(result.rejects.size);
    u32 counts[MOST_TABLES];
    mark(object.table, counts);
    bool fits;
    if (is_repeated(*value)) {
      fits = fail(TWICE, nullptr, of->start);
    } else if (value->type != Type::OBJECT) {
      if (is_nothing(*value)) return;
      fits = fail(NO_OBJECT, nullptr, start_of_value(of, value));
    } else {
      u32 row = result.count(contract, object.table);
      add_row(object.table, items.parent);
      int before = depth;
      fits = this->object(value, items.object, row);
      depth = before;
    }
    if (fits) {
      give_rank(object, items);
      return;
    }
    take_back(object.table, counts);
    result.rejects.size = rejects;
    u32 start, end;
    whole(source.xml && value->type == Type::ARRAY ? *of : *value, start, end);
    refuse(object.table, start, end);
  }

  // Where an element before was left out, a mere rank would pass for an id.
  void give_rank(const Object &object, const Items &items) {
    if (object.ranks == NONE) return;
    u32 count = result.count(contract, object.table);
    u64 *row = row_of(object.table, count - 1);
    if ((row[THERE] >> object.ranks & 1) && row[HEAD + object.ranks] == items.met)
      row[HEAD + object.ranks] = count - items.before;
  }

  // ---- values

  // Read a value as nearly all are written; false where it takes more to read it, or to refuse it.
  bool plain(const Node &value, const Field &field, u64 *row) {
    if (value.type == Type::NOTHING || field.what == What::UNUSED) return true;
    if (field.what != What::VALUE) {
      bool told = field.what == What::LIST && field.column != NONE;
      return !told && value.size == 1 && (value.type == Type::OBJECT || value.type == Type::ARRAY);
    }
    if (value.flags || (value.type != Type::STRING && value.type != Type::INTEGER)) return false;
    Span written = raw(value);
    if (!written.size) return true;
    u64 &cell = row[HEAD + field.column];
    if (field.kind == Kind::TEXT) {
      if (*written.data <= ' ' || *written.data == '-' || source.decoded) return false;
      keep(value.start, static_cast<u32>(written.size), cell);
    } else if (field.kind == Kind::INTEGER || (field.kind == Kind::POINTS && !contract.decimal)) {
      i64 number;
      if (!read_digits(written, number)) return false;
      cell = static_cast<u64>(number);
    } else if (field.kind == Kind::TIME && value.type == Type::STRING) {
      Moment moment;
      if (read_time(written, contract.no_times, false, moment) != FITS) return false;
      cell = static_cast<u64>(moment.microseconds);
    } else {
      return false;
    }
    row[THERE] |= u64(1) << field.column;
    return true;
  }

  bool scalar(const Node &value, const Field &field, u64 *row, u32 place) {
    u64 bit = u64(1) << field.column;
    u64 &cell = row[HEAD + field.column];
    if (is_repeated(value)) return fail(TWICE, nullptr, place);
    if (value.type == Type::OBJECT || value.type == Type::ARRAY)
      return value.size == 1 || fail(no_list(field.kind), &value, place);
    Reason reason = FITS;
    bool free = value.type == Type::STRING;
    if (field.kind == Kind::TEXT) {
      reason = text(value, cell);
    } else if (value.type == Type::TRUE || value.type == Type::FALSE) {
      if (field.kind == Kind::BOOLEAN) cell = value.type == Type::TRUE;
      else reason = no_list(field.kind);
    } else {
      std::size_t before = result.texts.size;
      Span written = text_of(value);
      switch (field.kind) {
      case Kind::INTEGER: {
        i64 number = 0;
        reason = read_integer(written, free, number);
        cell = static_cast<u64>(number);
        break;
      }
      case Kind::POINTS:
      case Kind::AMOUNT:
        if (field.kind == Kind::POINTS && !contract.decimal) {
          i64 number = 0;
          reason = read_whole_points(written, free, number);
          cell = static_cast<u64>(number);
        } else {
          double number = 0;
          reason = field.kind == Kind::AMOUNT ? read_amount(written, free, number)
                                              : read_decimal_points(written, free, number);
          std::memcpy(&cell, &number, 8);
        }
        break;
      case Kind::TIME: {
        Moment moment;
        reason = free ? read_time(written, contract.no_times, contract.offsets, moment) : NO_TIME;
        cell = static_cast<u64>(moment.microseconds);
        if (moment.offset) row[SHIFTED] |= bit;
        break;
      }
      default: {
        bool truth = false;
        reason = value.type == Type::DECIMAL ? NO_TRUTH : read_truth(written, truth);
        if (value.type == Type::INTEGER && written.size == 2 && !std::memcmp(written.data, "-0", 2))
          reason = FITS;
        cell = truth;
      }
      }
      result.texts.size = before;
    }
    if (reason == BLANK) return true;
    if (reason) return fail(reason, &value, place);
    row[THERE] |= bit;
    return true;
  }

  Reason text(const Node &value, u64 &cell) {
    static const u8 truths[] = "truefalse";
    u32 length = value.end - value.start;
    switch (value.type) {
    case Type::TRUE:
    case Type::FALSE: {
      bool truth = value.type == Type::TRUE;
      std::memcpy(result.room(5), truths + (truth ? 0 : 4), 5);
      cell = text_cell(result.texts.size, truth ? 4 : 5, true);
      result.texts.size += truth ? 4 : 5;
      return FITS;
    }
    case Type::INTEGER:
      if (length == 2 && !std::memcmp(source.base + value.start, "-0", 2))
        return keep(value.start + 1, 1, cell);
      break;
    case Type::DECIMAL: {
      u8 *to = result.room(length + 64);
      std::size_t written = write_decimal(raw(value), to);
      cell = text_cell(result.texts.size, written, true);
      result.texts.size += written;
      return FITS;
    }
    default:
      if (value.flags & (ESCAPED | MARKUP)) {
        Span written = text_of(value);
        if (text_holds_half) return HALF_SURROGATE;
        if (!stripped(written).size) return BLANK;
        cell = text_cell(static_cast<u64>(written.data - result.texts.data), written.size, true);
        return FITS;
      }
      if (!length) return BLANK;
      if (is_blank(source.base[value.start]) && !stripped(raw(value)).size) return BLANK;
    }
    return keep(value.start, length, cell);
  }

  // Tell where a text lies that is written as it is; what was decoded does not stay.
  Reason keep(u32 start, u32 length, u64 &cell) {
    if (length > 0x7fffffffu) memory().fail(TOO_LARGE_BLOCK);
    if (source.decoded) {
      std::memcpy(result.room(length), source.base + start, length);
      cell = text_cell(result.texts.size, length, true);
      result.texts.size += length;
    } else {
      cell = text_cell(start, length, false);
    }
    return FITS;
  }

  // ---- the answer

  bool answer(Node *top, u32 rejects) {
    if (top->type != Type::OBJECT) return fail(NO_RECORD_OBJECT, nullptr, source.start);
    u64 seen, twice;
    bool foreign;
    if (!resolve(top, 0, seen, twice, foreign)) return false;
    note_unknown(0);
    Node *root = nullptr;
    for (Node *key = top + 1, *end = top + top->size; key < end; key += 1 + key[1].size)
      if (key->field == contract.root_field) root = key + 1;
    if (!root || root->type != Type::OBJECT) return fail(NO_ROOT, nullptr, source.start);
    step(contract.objects[0].fields[contract.root_field]);
    bool fits = people(root, rejects);
    depth = 0;
    if (!fits) return false;
    return true;
  }

  bool people(Node *root, u32 rejects) {
    u32 number = contract.root_object;
    const Object &object = contract.objects[number];
    u64 seen, twice;
    bool foreign;
    failed = false;
    if (!resolve(root, number, seen, twice, foreign)) return false;
    note_unknown(number);
    u32 counts[MOST_TABLES];
    mark(0, counts);
    u32 row_number = result.count(contract, 0);
    add_row(0, result.records);
    Node *end = root + root->size;
    auto each = [&](What what, auto act) {
      for (Node *key = root + 1; key < end; key += 1 + key[1].size)
        if (key->field < MOST_FIELDS && object.fields[key->field].what == what && !act(key))
          return false;
      return true;
    };
    auto read_one = [&](Node *key) { return read(root, key, end, object, row_number, twice); };
    if (!each(What::VALUE, read_one) || !each(What::OBJECT, read_one)) return false;
    const u64 *row = row_of(0, row_number);
    failed = contract.failed != NONE && (row[THERE] >> contract.failed & 1) &&
             !row[HEAD + contract.failed];
    // Reading objects below has resolved other names, but not these keys again.
    if (!each(What::LIST, read_one)) return false;
    if (!each(What::WRAPPER, [&](Node *key) { return wrapped(root, key, object, row_number); }))
      return false;
    for (u32 table = 1; table < contract.tables.size; table++)
      if (contract.tables[table].parent == 0 && result.rows[table].size > counts[table]) return true;
    if (result.rejects.size > rejects) {
      take_back(0, counts);
      return true;
    }
    depth = 0;
    bool somebody = false;
    for (Node *key = root + 1; key < end; key += 1 + key[1].size)
      if (key->field < MOST_FIELDS && (contract.somebody >> key->field & 1) &&
          !(twice >> key->field & 1) && key[1].type == Type::OBJECT)
        somebody = true;
    if (!somebody) return fail(NOBODY, nullptr, source.start);
    if (foreign && !failed) return fail(FOREIGN_ROOT, nullptr, source.start, number);
    return true;
  }

  // What may wrap a list, under another name.
  struct Wrapped {
    bool wraps;
    Node *first; // key of the list
    u32 count;   // how often it comes
  };

  // Tell whether a value wraps a list: it has its name, or nothing that an element of it has. Its
  // keys are marked, 0 for the list.
  Wrapped unwrap(Node *value, const Field &inner) {
    const Object &element = contract.objects[inner.object];
    Wrapped is{false, nullptr, 0};
    if (value->type != Type::OBJECT || is_numbered(*value)) return is;
    bool known = false;
    for (Node *at = value + 1, *end = value + value->size; at < end; at += 1 + at[1].size) {
      Span name = name_of(*at);
      const u8 *stop = at->flags & ESCAPED ? name.data + name.size : source.end;
      bool listed = is_named(name.data, static_cast<u32>(name.size), stop, inner);
      at->field = listed ? 0 : MOST_FIELDS;
      if (listed && !is.count++) is.first = at;
      known |= !listed && find_field(element, name.data, static_cast<u32>(name.size), stop) >= 0;
    }
    is.wraps = is.first || !known;
    return is;
  }

  // Read a list that some answers wrap once more, under another name.
  bool wrapped(Node *root, Node *key, const Object &object, u32 row_number) {
    const Field &field = object.fields[key->field];
    const Field &inner = object.fields[field.object];
    Node *value = key + 1;
    step(field);
    bool fits = true;
    const Object &element = contract.objects[inner.object];
    Wrapped is = unwrap(value, inner);
    Node *found = is.first;
    if (is.wraps) {
      step(inner);
      Node *end = value + value->size;
      if (is.count > 1 && !source.xml) {
        Node *second = found + 1 + found[1].size;
        while (second->field != 0) second += 1 + second[1].size;
        fits = fail(TWICE, nullptr, start_of(second[1]));
      } else if (is.count > 1) {
        Items items{inner.object, row_number, result.count(contract, element.table)};
        for (Node *at = found; at < end; at += 1 + at[1].size) {
          if (at->field != 0) continue;
          step(items.met);
          item(value, at + 1, items);
          depth--;
        }
      } else if (found) {
        fits = list(value, found + 1, inner.object, row_number);
      }
      depth--;
    } else {
      fits = list(root, value, inner.object, row_number);
    }
    depth--;
    return fits;
  }
};

} // namespace reader
