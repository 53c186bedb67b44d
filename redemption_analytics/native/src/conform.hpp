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
  Buffer<Span> names;
  Buffer<u32> name_slots;
  Buffer<u8> key_texts; // of keys with escapes; they stay where they are
  Source source{};

  Conformer(const Contract &by, Result &into) : contract(by), result(into) {}

  void prepare() {
    std::size_t count = contract.objects.size * (MOST_FIELDS + 1);
    next.reserve(memory(), count);
    next.size = count;
    for (std::size_t i = 0; i < count; i++) next[i] = static_cast<u16>(i % (MOST_FIELDS + 1));
  }

  // Make room for the names of a record's tape that have escapes.
  void expect(const Tape &tape) {
    key_texts.size = 0;
    key_texts.reserve(memory(), 4 * tape.escaped_keys);
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
      for (std::size_t i = 0; i < notes.size; i++) tell(notes[i].object, notes[i].name);
    } else {
      // Not all was looked at.
      if (top->type == Type::OBJECT) meet_unknown(top, 0);
    }
  }

  void refuse_record(Reason reason, u32 start, u32 end, u32 place) {
    unfit = Reject();
    unfit.reason = reason;
    unfit.place = place;
    unfit.flags = IS_HIDDEN;
    unfit.path = result.say(reinterpret_cast<const u8 *>("$"), 1);
    unfit.path_size = 1;
    source.decoded = false;
    refuse(0, start, end);
  }

  void release() {
    next.release();
    names.release();
    name_slots.release();
    notes.release();
    key_texts.release();
  }

private:
  struct Step {
    const Field *field; // or, without one, the position in a list
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
      if (const Field *field = path[i].field) {
        result.say(reinterpret_cast<const u8 *>("."), 1);
        result.say(field->name, field->length);
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
    if (source.decoded) unfit.flags |= RAW_DECODED;
    result.rejects.add(memory(), unfit);
  }

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
    u8 *to = result.room(text.size);
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

  // Tell which field each key is. `twice` are fields that come again, in JSON the last key of such.
  bool resolve(Node *of, u32 number, u64 &seen, u64 &twice, bool &foreign) {
    const Object &object = contract.objects[number];
    u16 *follows = next.data + number * (MOST_FIELDS + 1);
    u32 last = 0;
    seen = twice = 0;
    names.size = 0;
    const Node *again = nullptr;
    for (Node *key = of + 1, *end = of + of->size; key < end; key += 1 + key[1].size) {
      const u8 *at = source.base + key->start;
      u32 length = key->end - key->start, field = follows[last];
      if (field >= object.count || (key->flags & ESCAPED) ||
          !is_named(at, length, source.end, object.fields[field])) {
        Span name{at, length};
        if (key->flags & ESCAPED) name = decoded_name(*key);
        int found = find_field(object, name.data, static_cast<u32>(name.size),
                               key->flags & ESCAPED ? name.data + name.size : source.end);
        if (found < 0) {
          key->field = MOST_FIELDS;
          names.add(memory(), name);
          if (is_repeated(names.size - 1)) {
            names.size--;
            if (!again) again = key;
          }
          continue;
        }
        field = static_cast<u32>(found);
        follows[last] = static_cast<u16>(field);
      }
      key->field = static_cast<u16>(field);
      last = field + 1;
      u64 bit = u64(1) << field;
      if (seen & bit) {
        twice |= bit;
        again = key;
      }
      seen |= bit;
    }
    foreign = names.size != 0;
    name_slots.size = 0;
    if (!again || source.xml) return true;
    Field unknown{};
    path[depth++] = {&unknown, 0};
    if (again->field < MOST_FIELDS) path[depth - 1].field = &object.fields[again->field];
    else depth--;
    fail(TWICE, nullptr, start_of(again[1]));
    if (again->field < MOST_FIELDS) depth--;
    return false;
  }

  Span decoded_name(const Node &key) {
    Span text = raw(key);
    if (key_texts.capacity - key_texts.size < text.size) memory().fail(NO_MEMORY);
    u8 *to = key_texts.data + key_texts.size;
    std::size_t length;
    unescape(text.data, text.data + text.size, to, length);
    key_texts.size += length;
    return {to, length};
  }

  // Tell whether one of the unknown names is there before.
  bool is_repeated(std::size_t number) {
    const Span &name = names[number];
    if (number < 8) {
      for (std::size_t i = 0; i < number; i++)
        if (names[i].size == name.size && !std::memcmp(names[i].data, name.data, name.size))
          return true;
      return false;
    }
    std::size_t first = number;
    if (name_slots.size < 2 * (number + 1)) {
      std::size_t size = 32;
      while (size < 4 * (number + 1)) size *= 2;
      name_slots.reserve(memory(), size);
      name_slots.size = size;
      std::memset(name_slots.data, 0, size * sizeof(u32));
      first = 0;
    }
    u32 mask = static_cast<u32>(name_slots.size - 1);
    for (std::size_t i = first; i <= number; i++) {
      u32 slot = hash_of(names[i].data, static_cast<u32>(names[i].size)) & mask;
      for (; name_slots[slot]; slot = (slot + 1) & mask) {
        const Span &other = names[name_slots[slot] - 1];
        if (other.size == names[i].size && !std::memcmp(other.data, names[i].data, other.size))
          return true;
      }
      name_slots[slot] = static_cast<u32>(i + 1);
    }
    return false;
  }

  void note_unknown(u32 object) {
    for (std::size_t i = 0; i < names.size; i++) notes.add(memory(), {object, names[i]});
  }

  void tell(u32 object, Span name) {
    u32 said = result.say(name.data, name.size);
    std::size_t before = result.unknown.size;
    result.meet(object, said, static_cast<u32>(name.size));
    if (result.unknown.size == before) result.words.size = said;
  }

  // Count the unknown fields of what is an object, or of the objects in a list.
  void meet_unknown(Node *value, u32 number) {
    if (value->type == Type::ARRAY) {
      bool keyed = value->flags & KEYED;
      for (Node *at = value + 1 + keyed, *end = value + value->size; at < end; at += keyed + at->size)
        if (at->type == Type::OBJECT) meet_unknown(at, number);
      return;
    }
    if (value->type != Type::OBJECT) return;
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
      // A list within a list is none of objects.
      if ((twice >> key->field & 1) && key[1].type == Type::ARRAY) continue;
      if (field.what == What::OBJECT || field.what == What::LIST) meet_unknown(key + 1, field.object);
    }
  }

  // ---- elements

  // Read an object that is not empty into a row.
  bool object(Node *of, u32 number, u32 row_number) {
    u64 seen, twice;
    bool foreign;
    if (!resolve(of, number, seen, twice, foreign)) return false;
    note_unknown(number);
    const Object &object = contract.objects[number];
    for (Node *key = of + 1, *end = of + of->size; key < end; key += 1 + key[1].size)
      if (key->field < MOST_FIELDS && !read(of, key, end, object, row_number, twice)) return false;
    return demand(of, object, number, row_number, seen, foreign);
  }

  bool read(Node *of, Node *key, Node *end, const Object &object, u32 row_number, u64 twice) {
    const Field &field = object.fields[key->field];
    if (field.what == What::UNUSED || field.what == What::WRAPPER) return true;
    Node *value = key + 1;
    path[depth++] = {&field, 0};
    bool fits = true;
    u64 bit = u64(1) << key->field;
    if (twice & bit) {
      // In XML this is a list; the others of it are passed over when they come.
      fits = several(of, key, end, field, row_number);
    } else if (value->type == Type::NOTHING) {
    } else if (field.what == What::VALUE) {
      fits = scalar(*value, field, row_of(object.table, row_number), start_of_value(of, value));
    } else if (field.what == What::LIST) {
      list(of, value, field.object, row_number);
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
    if (field.what == What::LIST) {
      u32 position = 0;
      for (Node *at = key; at < end; at += 1 + at[1].size) {
        if (at->field != number) continue;
        path[depth++] = {nullptr, position++};
        item(of, at + 1, field.object, row_number);
        depth--;
      }
      return true;
    }
    Node list{of->start, of->end, 2, Type::ARRAY, 0, 0};
    if (field.what == What::VALUE)
      return fail(no_list(field.kind), &list, of->start);
    bool nothing = true;
    for (Node *at = key; at < end; at += 1 + at[1].size)
      if (at->field == number && !is_nothing(at[1])) nothing = false;
    return nothing || fail(NO_OBJECT, nullptr, of->start, 1);
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
    if (value->type != Type::OBJECT)
      return is_nothing(*value) || fail(NO_OBJECT, nullptr, start_of_value(of, value));
    return value->size == 1 || object(value, number, row_number);
  }

  // Read the elements of a list, or the bare object that stands for a list of one.
  void list(Node *of, Node *value, u32 number, u32 parent) {
    if (value->type != Type::ARRAY) {
      item(of, value, number, parent);
      return;
    }
    bool keyed = value->flags & KEYED;
    u32 position = 0;
    for (Node *at = value + 1 + keyed, *end = value + value->size; at < end; at += keyed + at->size) {
      path[depth++] = {nullptr, position++};
      item(source.xml ? of : value, at, number, parent);
      depth--;
    }
  }

  void item(Node *of, Node *value, u32 number, u32 parent) {
    const Object &object = contract.objects[number];
    if (value->type == Type::OBJECT && value->size == 1) return;
    u32 rejects = static_cast<u32>(result.rejects.size);
    u32 counts[MOST_TABLES];
    mark(object.table, counts);
    bool fits;
    if (value->type != Type::OBJECT) {
      if (is_nothing(*value)) return;
      fits = fail(NO_OBJECT, nullptr, start_of_value(of, value));
    } else {
      u32 row = result.count(contract, object.table);
      add_row(object.table, parent);
      int before = depth;
      fits = this->object(value, number, row);
      depth = before;
    }
    if (fits) return;
    take_back(object.table, counts);
    result.rejects.size = rejects;
    u32 start, end;
    whole(source.xml && value->type == Type::ARRAY ? *of : *value, start, end);
    refuse(object.table, start, end);
  }

  // ---- values

  bool scalar(const Node &value, const Field &field, u64 *row, u32 place) {
    u64 bit = u64(1) << field.column;
    u64 &cell = row[HEAD + field.column];
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
        reason = free ? read_time(written, contract.offsets, moment) : NO_TIME;
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
      if (length == 2 && !std::memcmp(source.base + value.start, "-0", 2)) {
        cell = text_cell(value.start + 1, 1, source.decoded);
        return FITS;
      }
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
    if (length > 0x7fffffffu) memory().fail(TOO_LARGE_BLOCK);
    cell = text_cell(value.start, length, source.decoded);
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
    path[depth++] = {&contract.objects[0].fields[contract.root_field], 0};
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

  // Read a list that some answers wrap once more, under another name.
  bool wrapped(Node *root, Node *key, const Object &object, u32 row_number) {
    const Field &field = object.fields[key->field];
    const Field &inner = object.fields[field.object];
    Node *value = key + 1;
    path[depth++] = {&field, 0};
    bool fits = true;
    const Object &element = contract.objects[inner.object];
    Node *found = nullptr;
    u32 count = 0;
    bool known = false;
    if (value->type == Type::OBJECT) {
      for (Node *at = value + 1, *end = value + value->size; at < end; at += 1 + at[1].size) {
        Span name = at->flags & ESCAPED ? decoded_name(*at) : raw(*at);
        const u8 *stop = name.data + name.size;
        if (is_named(name.data, static_cast<u32>(name.size), stop, inner)) {
          if (!found) found = at;
          count++;
          at->field = 0;
        } else {
          at->field = MOST_FIELDS;
          known |= find_field(element, name.data, static_cast<u32>(name.size), stop) >= 0;
        }
      }
    }
    if (found || (value->type == Type::OBJECT && !known)) {
      path[depth++] = {&inner, 0};
      if (count > 1 && !source.xml) {
        fits = fail(TWICE, nullptr, start_of(found[1]));
      } else if (count > 1) {
        u32 position = 0;
        for (Node *at = found, *end = value + value->size; at < end; at += 1 + at[1].size) {
          if (at->field != 0) continue;
          path[depth++] = {nullptr, position++};
          item(value, at + 1, inner.object, row_number);
          depth--;
        }
      } else if (found) {
        list(value, found + 1, inner.object, row_number);
      }
      depth--;
    } else {
      list(root, value, inner.object, row_number);
    }
    depth--;
    return fits;
  }
};

} // namespace reader
