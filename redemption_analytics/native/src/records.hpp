// Where records start and end in a block, and where to go on after one that is damaged.
#pragma once

#include "conform.hpp"
#include "xml.hpp"

namespace reader {

enum Form : u32 { XML = 1, LINES = 2, BY_LINE = 4 };

// How far a record's beginning is looked for before its first key, and how much else is between.
constexpr std::ptrdiff_t REACH = 1024;

struct Records {
  const Contract &contract;
  Result &result;
  Conformer &conformer;
  Tape &tape;
  u32 form;
  const u8 *data = result.input;
  const u8 *stop = result.input + result.input_size;

  void read() {
    if (form & XML) read_xml();
    else
      for (const u8 *at = data; at < stop;) {
        const u8 *end = next_start(at);
        read_json(at, end);
        at = end;
      }
  }

private:
  Memory &memory() { return result.memory; }
  u32 position(const u8 *at) const { return static_cast<u32>(at - data); }

  // ---- JSON

  static bool is_separator(u8 c) { return is_space(c) || c == ',' || c == '[' || c == ']'; }

  // Find where the next record starts: no text can hold a brace and this key, whose quotes would be
  // escaped. Where it is a mere field of something, a colon precedes it.
  const u8 *next_start(const u8 *from) const {
    const u8 *at = from;
    if (form & BY_LINE) {
      at = find_word(at, stop, "\n{", 2);
      return at == stop ? stop : at + 1;
    }
    for (;; at++) {
      at = find_word(at, stop, "\"response\"", 10);
      if (at == stop) return stop;
      const u8 *start = start_before(at);
      if (start > from) return start;
    }
  }

  const u8 *start_before(const u8 *key) const {
    const u8 *low = key - data > REACH ? key - REACH : data;
    const u8 *at = key;
    while (at > low && is_blank(at[-1])) at--;
    if (at == low || at[-1] != '{') return nullptr;
    const u8 *brace = --at;
    bool on_line = brace > low && brace[-1] == '\n';
    while (at > low && (is_space(at[-1]) || at[-1] == '[')) at--;
    if (at > low && at[-1] == ':' && !on_line) return nullptr;
    while (at > low && is_separator(at[-1])) at--;
    return at == low ? nullptr : brace;
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
        if (opened == end || *opened == '{' || *opened == ']') at = opened;
      }
      if (at == before) return at;
    }
  }

  void read_json(const u8 *at, const u8 *end) {
    Json json{memory(), tape, data};
    for (at = after_separators(at, end); at < end; at = after_separators(at, end)) {
      const u8 *after = json.value(at, end);
      result.records++;
      if (after && is_utf8(at, after, false)) {
        if (tape.nodes[0].type != Type::STRING || !encoded_twice(at, after))
          conform({data, stop, false, false, position(at), position(after), position(at)});
      } else {
        after = form & LINES ? find_byte(at, end, '\n') : end;
        const u8 *text = after;
        while (text > at && (is_space(text[-1]) || (!(form & LINES) && text[-1] == ','))) text--;
        conformer.refuse_record(UNDECODABLE, position(at), position(text), position(at));
      }
      at = after;
    }
  }

  // Read a record whose text is, as a text, in JSON again.
  bool encoded_twice(const u8 *start, const u8 *end) {
    Source source{data, stop, true, false, position(start), position(end), position(start)};
    for (int times = 0; times < 2 && tape.nodes[0].type == Type::STRING; times++) {
      const Node node = tape.nodes[0];
      if (node.flags & CONSTANT) return false;
      std::size_t length = node.end - node.start;
      // While a text is read from there, the decoded texts must stay where they are.
      const u8 *text = source.base + node.start;
      std::size_t offset = times ? static_cast<std::size_t>(text - result.texts.data) : 0;
      result.room(9 * length + 4096);
      if (times) text = result.texts.data + offset;
      u8 *to = result.texts.data + result.texts.size;
      std::size_t made = length;
      if (!(node.flags & ESCAPED)) std::memcpy(to, text, length);
      else if (!unescape(text, text + length, to, made)) return false;
      const u8 *first = skip_space(to, to + made);
      if (first == to + made || (*first != '{' && *first != '"')) return false;
      result.texts.size += made;
      source.base = result.texts.data;
      source.end = to + made;
      Json json{memory(), tape, source.base};
      const u8 *after = json.value(first, source.end);
      if (!after || skip_space(after, source.end) != source.end) {
        put_back();
        return false;
      }
      source.start = static_cast<u32>(first - source.base);
      source.stop = static_cast<u32>(after - source.base);
    }
    if (tape.nodes[0].type != Type::OBJECT) {
      put_back();
      return false;
    }
    conform(source);
    return true;
  }

  // What was tried is no record: neither is the text.
  void put_back() {
    tape.clear();
    tape.nodes.add(memory(), {0, 0, 1, Type::NOTHING, 0, 0});
  }

  void conform(const Source &source) {
    conformer.expect(tape);
    conformer.record(tape.nodes.data, source);
  }

  // ---- XML

  static bool at_answer(const u8 *at, const u8 *end) {
    return end - at > 9 && (is_blank(at[9]) || at[9] == '/' || at[9] == '>');
  }

  const u8 *next_answer(const u8 *at) const {
    for (;; at++) {
      at = find_word(at, stop, "<response", 9);
      if (at == stop || at_answer(at, stop)) return at;
    }
  }

  // Find the end of the answer that starts at a place: its end tag, or that of an empty one.
  static const u8 *answer_end(const u8 *start, const u8 *end) {
    for (const u8 *at = start;; at++) {
      at = find_word(at, end, "response", 8);
      if (at == end) return nullptr;
      const u8 *after = at + 8;
      if (at - start >= 2 && at[-1] == '/' && at[-2] == '<') {
        while (after < end && is_blank(*after)) after++;
        if (after < end && *after == '>') return after + 1;
      } else if (at > start && at[-1] == '<') {
        if (starts(after, end, "/>")) return after + 2;
        if (after < end && is_blank(*after)) {
          while (after < end && *after != '<' && *after != '>') after++;
          if (after < end && *after == '>' && after[-1] == '/') return after + 1;
        }
      }
    }
  }

  void read_xml() {
    const u8 *at = next_answer(data);
    read_between(data, at);
    Xml xml{memory(), result, tape, data};
    while (at < stop) {
      const u8 *next = next_answer(at + 1);
      const u8 *end = answer_end(at, next);
      if (end) {
        result.records++;
        if (is_utf8(at, end, true) && xml.answer(at, end))
          conform({data, stop, false, true, position(at), position(end), position(at)});
        else conformer.refuse_record(UNDECODABLE, position(at), position(end), position(at));
        read_between(end, next);
      } else {
        refuse_stretch(CUT_OFF, at, next);
      }
      at = next;
    }
  }

  void refuse_stretch(Reason reason, const u8 *at, const u8 *end) {
    Span text = stripped({at, static_cast<std::size_t>(end - at)});
    result.records++;
    u32 start = position(text.data);
    conformer.refuse_record(reason, start, start + static_cast<u32>(text.size), start);
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

  static bool is_word(u8 c) { return static_cast<u8>((c | 32) - 'a') < 26 || is_digit(c) || c == '_'; }

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
