// Where records start and end in a stretch, and where to go on after one that is damaged.
#pragma once

#include "direct.hpp"
#include "rubbish.hpp"
#include "xml.hpp"

namespace reader {

// How a stretch is written. Records of JSON begin with their first key, at a line that begins with a
// brace, or as a text that holds the record in JSON once more. Tests ask for the tape, to hold what
// is read directly against it.
enum Form : u32 { XML = 1, LINES = 2, BY_LINE = 4, BY_TEXT = 8, REFUSED = 16, ARRAY = 32, BY_TAPE = 64 };

// How far a record's beginning is looked for before its first key.
constexpr std::ptrdiff_t REACH = 1024;

// How often a record may be encoded.
constexpr int MOST_ENCODED = 6;

// What one read needs beside its result.
struct Work {
  Tape tape;
  Names names; // of attributes
  Conformer conformer;
  Buffer<u8> decoded[MOST_ENCODED]; // texts that hold records, each within the one before

  void release() {
    tape.release();
    names.release();
    conformer.release();
    for (Buffer<u8> &text : decoded) text.release();
  }
};

struct Records {
  const Contract &contract;
  Result &result;
  Work &work;
  u32 form;
  const u8 *base; // positions count from there
  const u8 *data; // of the stretch
  const u8 *stop;
  int level = 0;  // how often it was decoded
  u32 place = 0;  // in the input, of what was decoded
  Tape &tape = work.tape;
  const u8 *tried = nullptr; // what was last tried to be read directly

  void read() {
    if (form & XML) read_xml();
    else if (form & REFUSED) refuse(REFUSED_UNREAD, data, stop);
    else
      read_json();
  }

private:
  Memory &memory() { return result.memory; }
  u32 position(const u8 *at) const { return static_cast<u32>(at - base); }

  Source source(const u8 *start, const u8 *end) const {
    return {base, stop, level > 0, (form & XML) != 0, position(start), position(end),
            level ? place : position(start)};
  }

  void refuse(Reason reason, const u8 *start, const u8 *end) {
    result.records++;
    work.conformer.refuse_record(reason, source(start, end));
  }

  void conform(const u8 *start, const u8 *end) {
    result.records++;
    work.conformer.record(tape.nodes.data, source(start, end));
  }

  // ---- JSON

  void read_json() {
    for (const u8 *at = form & ARRAY ? after_bracket(data) : data; at < stop;) {
      // What starts a record may stand within one where that is a line's start, or in a text.
      if (!(form & (BY_LINE | BY_TEXT | BY_TAPE))) {
        at = after_separators(at, stop);
        if (at == stop) return;
        if (const u8 *after = read_directly(at, stop)) {
          at = after;
          continue;
        }
      }
      const u8 *end = next_start(at);
      read_json(at, end);
      at = end;
    }
  }

  const u8 *read_directly(const u8 *at, const u8 *end) {
    if (*at != '{' || at == tried || (form & BY_TAPE)) return nullptr;
    tried = at;
    return Direct(work.conformer, Json{memory(), tape, base}, end).record(at, source(at, end));
  }

  static bool is_separator(u8 c) { return is_space(c) || c == ',' || c == '[' || c == ']'; }

  // Find where the next record starts: no text can hold a brace and this key, whose quotes would be
  // escaped. Where it is a mere field of something, a colon precedes it.
  const u8 *next_start(const u8 *from) const {
    const u8 *at = from;
    if (form & BY_LINE) {
      at = find_word(at, stop, "\n{", 2);
      return at == stop ? stop : at + 1;
    }
    const Span &name = contract.root_name;
    char key[40];
    std::size_t length = 0;
    auto quote = [&] {
      if (form & BY_TEXT) key[length++] = '\\';
      key[length++] = '"';
    };
    quote();
    std::memcpy(key + length, name.data, name.size);
    length += name.size;
    quote();
    for (;; at++) {
      at = find_word(at, stop, key, length);
      if (at == stop) return stop;
      const u8 *start = form & BY_TEXT ? text_before(at) : start_before(at);
      if (start > from) return start;
    }
  }

  const u8 *reach(const u8 *key) const { return key - data > REACH ? key - REACH : data; }

  // Tell whether there is more before a place than what may stand between records.
  static bool is_first(const u8 *low, const u8 *at) {
    while (at > low && is_separator(at[-1])) at--;
    return at == low;
  }

  const u8 *start_before(const u8 *key) const {
    const u8 *low = reach(key), *at = key;
    while (at > low && is_blank(at[-1])) at--;
    if (at == low || at[-1] != '{') return nullptr;
    const u8 *brace = --at;
    bool on_line = brace > low && brace[-1] == '\n';
    while (at > low && (is_space(at[-1]) || at[-1] == '[')) at--;
    if (at > low && at[-1] == ':' && !on_line) {
      // What a colon follows that is no key, as in a line of a log, holds nothing.
      const u8 *before = at - 1;
      while (before > low && is_blank(before[-1])) before--;
      if (before > low && before[-1] == '"') return nullptr;
    }
    return is_first(low, brace) ? nullptr : brace;
  }

  // Find the quote of a text that begins with an object, before the object's first key.
  const u8 *text_before(const u8 *key) const {
    const u8 *low = reach(key), *at = key;
    auto back = [&](bool brackets) {
      for (;;) {
        if (at > low && (at[-1] == ' ' || (brackets && at[-1] == '['))) at--;
        else if (at - low > 1 && at[-2] == '\\' && (at[-1] == 'n' || at[-1] == 'r' || at[-1] == 't'))
          at -= 2;
        else return;
      }
    };
    back(false);
    if (at == low || *--at != '{') return nullptr;
    back(true);
    if (at == low || *--at != '"' || (at > low && at[-1] == '\\')) return nullptr;
    return is_first(low, at) ? nullptr : at;
  }

  // Tell whether a text begins with an object in JSON, before which there may be blanks.
  static bool begins_with_object(const u8 *at, const u8 *end) {
    for (;;) {
      if (at < end && *at == ' ') at++;
      else if (end - at > 1 && *at == '\\' && (at[1] == 'n' || at[1] == 'r' || at[1] == 't')) at += 2;
      else return at < end && *at == '{';
    }
  }

  // Pass over the bracket that opens an array of records, whatever the first of them is.
  const u8 *after_bracket(const u8 *from) const {
    const u8 *at = skip_blanks(from, stop);
    return at < stop && *at == '[' ? at + 1 : from;
  }

  // Pass over what may stand between records: they may be the elements of arrays.
  static const u8 *after_separators(const u8 *at, const u8 *end) {
    for (;;) {
      const u8 *before = at;
      at = skip_unicode_space(at, end);
      if (at < end && (*at == ',' || *at == ']')) at++;
      if (starts(at, end, "\xef\xbb\xbf")) at += 3;
      if (at < end && *at == '[') {
        const u8 *opened = skip_unicode_space(at + 1, end);
        for (int i = 0; i < 99 && opened < end && *opened == '['; i++)
          opened = skip_unicode_space(opened + 1, end);
        if (opened == end || *opened == '{' || *opened == ']' ||
            (*opened == '"' && begins_with_object(opened + 1, end)))
          at = opened;
      }
      if (at == before) return at;
    }
  }

  // Tell whether nothing else follows a number or a word that is a record.
  static bool is_alone(const u8 *at, const u8 *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r')) at++;
    return at == end || *at == '\n' || *at == ',' || *at == ']';
  }

  bool is_record(const u8 *after, const u8 *end) const {
    const Node &top = tape.nodes[0];
    return top.type == Type::OBJECT || top.type == Type::ARRAY || top.type == Type::STRING ||
           is_alone(after, end);
  }

  void read_json(const u8 *at, const u8 *end) {
    Json json{memory(), tape, base};
    for (at = after_separators(at, end); at < end; at = after_separators(at, end)) {
      const u8 *after = read_directly(at, end);
      if (after) {
        at = after;
        continue;
      }
      after = json.value(at, end);
      if (after && is_utf8(at, after, false) && is_record(after, end)) {
        if (!read_encoded(at)) conform(at, after);
      } else {
        after = rubbish_end(at, end);
        if (!after) after = form & LINES ? find_byte(at, end, '\n') : end;
        refuse(UNDECODABLE, at, broken_end(at, after));
      }
      at = after;
    }
  }

  // Find the end of what is no record, without what is between it and the next.
  const u8 *broken_end(const u8 *at, const u8 *end) const {
    const u8 *whole = end;
    while (whole > at && is_separator(whole[-1])) whole--;
    if (!(form & LINES) && whole > at && whole[-1] == (form & BY_TEXT ? '"' : '}')) return whole;
    while (end > at && (is_space(end[-1]) || (!(form & LINES) && end[-1] == ','))) end--;
    return end;
  }

  // Read the records that a text holds, if it holds any: JSON may be encoded twice, and oftener.
  bool read_encoded(const u8 *start) {
    const Node node = tape.nodes[0];
    if (node.type != Type::STRING || (node.flags & CONSTANT) || level == MOST_ENCODED) return false;
    Buffer<u8> &text = work.decoded[level];
    const u8 *from = base + node.start;
    std::size_t length = node.end - node.start;
    text.size = 0;
    text.reserve(memory(), 2 * length + 16);
    if (node.flags & ESCAPED) {
      if (!unescape(from, from + length, text.data, length)) length = escape_halves(text, length);
    } else if (length) {
      std::memcpy(text.data, from, length);
    }
    const u8 *first = text.data, *end = text.data + length;
    while (first < end && (is_python_space(first, end) || *first == '[')) first += 1;
    if (first == end || (*first != '{' && *first != '"' && *first != '<')) return false;
    first = skip_unicode_space(text.data, end);
    bool xml = first < end && *first == '<';
    u32 outer = level ? place : position(start);
    Records inner{contract, result, work, xml ? u32(XML) : form & BY_TAPE, text.data, text.data, end, level + 1, outer};
    if (xml) inner.read_xml();
    else inner.read_json(text.data, end);
    return true;
  }

  static bool is_python_space(const u8 *at, const u8 *end) {
    u32 code;
    int length = character_at(at, end, code);
    return length == 1 && is_unicode_space(code);
  }

  // Write halves of surrogate pairs as escapes again, for there is no other way to write them.
  std::size_t escape_halves(Buffer<u8> &text, std::size_t length) {
    std::size_t size = 2 * length + 16;
    u8 *whole = static_cast<u8 *>(memory().resize(nullptr, 0, size));
    memory().used -= size;
    std::size_t made = 0;
    for (std::size_t i = 0; i < length;) {
      const u8 *at = text.data + i;
      bool half = length - i >= 3 && at[0] == 0xed && at[1] >= 0xa0;
      if (half) {
        u32 code = 0xd000 | (at[1] & 63u) << 6 | (at[2] & 63u);
        static const char digits[] = "0123456789abcdef";
        whole[made++] = '\\';
        whole[made++] = 'u';
        for (int shift = 12; shift >= 0; shift -= 4) whole[made++] = static_cast<u8>(digits[code >> shift & 15]);
        i += 3;
      } else {
        whole[made++] = text.data[i++];
      }
    }
    if (made <= text.capacity) std::memcpy(text.data, whole, made);
    std::free(whole);
    return made;
  }

  // ---- XML

  bool at_answer(const u8 *at) const {
    at += 1 + contract.root_name.size;
    return at < stop && (is_blank(*at) || *at == '/' || *at == '>');
  }

  const u8 *next_answer(const u8 *at) const {
    const Span &name = contract.root_name;
    char tag[40] = "<";
    std::memcpy(tag + 1, name.data, name.size);
    for (;; at++) {
      at = find_word(at, stop, tag, name.size + 1);
      if (at == stop || at_answer(at)) return at;
    }
  }

  // Find the end of the answer that starts at a place: its end tag, or that of an empty one. Where
  // the next one starts before, it has none.
  const u8 *answer_end(const u8 *start, const u8 *&next) const {
    const Span &name = contract.root_name;
    for (const u8 *at = start;; at++) {
      at = find_word(at, stop, reinterpret_cast<const char *>(name.data), name.size);
      if (at == stop) return next = stop, nullptr;
      const u8 *after = at + name.size, *end = nullptr;
      if (at - start >= 2 && at[-1] == '/' && at[-2] == '<') {
        while (after < stop && is_blank(*after)) after++;
        if (after < stop && *after == '>') end = after + 1;
      } else if (at - start == 1 && starts(after, stop, "/>")) {
        end = after + 2;
      } else if (at - start == 1 && after < stop && is_blank(*after)) {
        while (after < stop && *after != '<' && *after != '>') after++;
        if (after < stop && *after == '>' && after[-1] == '/') end = after + 1;
      } else if (at - start > 1 && at[-1] == '<' && at_answer(at - 1)) {
        return next = at - 1, nullptr;
      }
      if (end) return next = next_answer(end), end;
    }
  }

  void read_xml() {
    const u8 *at = next_answer(data);
    read_between(data, at);
    Xml xml{memory(), result, tape, work.names, base};
    while (at < stop) {
      const u8 *next;
      const u8 *end = answer_end(at, next);
      if (end) {
        if (is_utf8(at, end, true) && xml.answer(at, end)) conform(at, end);
        else refuse(UNDECODABLE, at, end);
        read_between(end, next);
      } else {
        refuse_stretch(CUT_OFF, at, next);
      }
      at = next;
    }
  }

  void refuse_stretch(Reason reason, const u8 *at, const u8 *end) {
    Span text = stripped({at, static_cast<std::size_t>(end - at)});
    refuse(reason, text.data, text.data + text.size);
  }

  // Between answers there are declarations and the tags of what they are in.
  void read_between(const u8 *at, const u8 *end) {
    const u8 *start = at;
    while (at < end) {
      const u8 *after = one_between(at, end);
      if (!after) {
        refuse_stretch(NO_ANSWER, start, end);
        return;
      }
      at = after;
    }
  }

  static const u8 *one_between(const u8 *at, const u8 *end) {
    if (is_blank(*at)) return at + 1;
    if (starts(at, end, "\xef\xbb\xbf")) return at + 3;
    if (*at != '<') return nullptr;
    const u8 *found;
    if (starts(at, end, "<?") && (found = find_word(at + 2, end, "?>", 2)) < end) return found + 2;
    if (starts(at, end, "<!--") && (found = find_word(at + 4, end, "-->", 3)) < end) return found + 3;
    if (starts(at, end, "<!DOCTYPE")) {
      for (found = at + 9; found < end && *found != '[' && *found != '>';) found++;
      if (found < end && *found == '>') return found + 1;
      while (found < end) {
        found = find_byte(found, end, ']');
        if (found == end) return nullptr;
        for (found++; found < end && is_blank(*found);) found++;
        if (found < end && *found == '>') return found + 1;
      }
      return nullptr;
    }
    const u8 *name = at + 1 + (end - at > 1 && at[1] == '/');
    const u8 *after = name;
    if (after < end && (is_word(*after) && !is_digit(*after))) {
      while (after < end && (is_word(*after) || *after == '.' || *after == ':' || *after == '-')) after++;
      const u8 *space = after;
      while (after < end && is_blank(*after)) after++;
      if (after < end && *after == '>') return after + 1;
      bool closed = at[1] != '/' && ((space - name == 4 && !std::memcmp(name, "root", 4)) ||
                                     (space - name == 9 && !std::memcmp(name, "responses", 9)));
      if (closed && starts(after, end, "/>")) return after + 2;
      if (after > space && starts(after, end, "xmlns")) {
        const u8 *value = after + 5;
        while (value < end && *value != '<' && *value != '>') value++;
        if (value < end && *value == '>' && value > after + 5) return value + 1;
      }
    }
    // A tag that breaks off.
    after = at + 1;
    if (after < end && *after == '/') {
      after++;
      while (after < end && (is_word(*after) || *after == '.' || *after == ':' || *after == '-')) after++;
    }
    while (after < end && is_blank(*after)) after++;
    return after == end ? end : nullptr;
  }
};

} // namespace reader
