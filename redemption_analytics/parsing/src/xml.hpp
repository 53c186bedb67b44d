// XML to tape: the objects that JSON would give. Elements of one name are told to be a list by what
// reads the tape, for only the contract says which they are; <element> stands for items of a list.
#pragma once

#include "markup.hpp"
#include "names.hpp"
#include "result.hpp"

namespace reader {

struct Xml {
  Memory &memory;
  Result &result;
  Tape &tape;
  Names &names;
  const u8 *base;

  // Read the answer that a stretch of text is, from its first tag to its last.
  bool answer(const u8 *at, const u8 *end);

  static const u8 *name(const u8 *at, const u8 *end);

private:
  enum : u16 { HAS_CHILDREN = 1, HAS_OTHERS = 2 }; // others than <element>

  u32 position(const u8 *at) const { return static_cast<u32>(at - base); }

  const u8 *attributes(const u8 *at, const u8 *end);
  const u8 *passed_over(const u8 *at, const u8 *end);
  Span within(Span text, bool markup);
  Node *close(Node &node, Node *to, const u8 *start_of_end, const u8 *end, bool markup);
};

inline bool is_xml_space(u8 c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

inline bool is_name_start(u8 c) {
  return static_cast<u8>((c | 32) - 'a') < 26 || c == '_' || c == ':' || c >= 0x80;
}

inline bool is_name(u8 c) { return is_name_start(c) || is_digit(c) || c == '-' || c == '.'; }

inline bool has_only_characters(const u8 *at, const u8 *end) {
  for (; at < end; at++)
    if (*at < 0x20 && !is_xml_space(*at)) return false;
  return true;
}

inline const u8 *skip_xml_space(const u8 *at, const u8 *end) {
  while (at < end && is_xml_space(*at)) at++;
  return at;
}

// Find what is not plain text: a tag, a reference, a bracket, a carriage return, what is forbidden.
inline const u8 *markup_stop(const u8 *at, const u8 *end) {
  const Bytes tag = all('<'), amp = all('&'), bracket = all(']'), control = all(0x1f);
  const Bytes feed = all('\n'), tab = all('\t');
  for (; end - at >= 16; at += 16) {
    Bytes b = load(at);
    Mask stop = mask_of(either(either(equal(b, tag), equal(b, amp)), equal(b, bracket)));
    Mask low = mask_of(at_most(b, control)) & ~mask_of(either(equal(b, feed), equal(b, tab)));
    if (Mask m = stop | low) return at + first_of(m);
  }
  for (; at < end; at++)
    if (*at == '<' || *at == '&' || *at == ']' || (*at < 0x20 && *at != '\n' && *at != '\t')) break;
  return at;
}

inline const u8 *Xml::name(const u8 *at, const u8 *end) {
  if (at >= end || !is_name_start(*at)) return nullptr;
  // Nearly all are of letters and underlines.
  while (end - at >= 16) {
    Bytes b = load(at);
    Bytes letters = at_most(minus(either(b, all(32)), all('a')), all(25));
    Mask m = mask_of(either(letters, equal(b, all('_')))) ^ FULL;
    at += m ? first_of(m) : 16;
    if (m) break;
  }
  while (at < end && is_name(*at)) at++;
  return at;
}

// Pass over attributes, up to > or />.
[[gnu::noinline]] inline const u8 *Xml::attributes(const u8 *at, const u8 *end) {
  names.clear();
  for (;;) {
    const u8 *start = at;
    at = skip_xml_space(at, end);
    if (at >= end) return nullptr;
    if (*at == '>' || *at == '/') return at;
    const u8 *stop = name(at, end);
    if (at == start || !stop) return nullptr;
    if (names.add(memory, {at, static_cast<std::size_t>(stop - at)}) != Names::NEW) return nullptr;
    at = skip_xml_space(stop, end);
    if (at >= end || *at != '=') return nullptr;
    at = skip_xml_space(at + 1, end);
    if (at >= end || (*at != '"' && *at != '\'')) return nullptr;
    u8 quote = *at++;
    for (; at < end && *at != quote; at++) {
      if (*at == '<' || (*at < 0x20 && !is_xml_space(*at))) return nullptr;
      u32 code;
      if (*at == '&') {
        at = reference(at, end, code);
        if (!at) return nullptr;
        at--;
      }
    }
    if (at >= end) return nullptr;
    at++;
  }
}

// Pass over a comment, an instruction or CDATA.
[[gnu::noinline]] inline const u8 *Xml::passed_over(const u8 *at, const u8 *end) {
  const u8 *start = at, *stop;
  if (starts(at, end, "<!--")) {
    stop = find_word(at + 4, end, "--", 2);
    if (stop == end || !starts(stop, end, "-->")) return nullptr;
    stop += 3;
  } else if (starts(at, end, "<![CDATA[")) {
    stop = find_word(at + 9, end, "]]>", 3);
    if (stop == end) return nullptr;
    stop += 3;
  } else if (starts(at, end, "<?")) {
    const u8 *target = at + 2;
    at = name(target, end);
    if (!at) return nullptr;
    if (at - target == 3 && (target[0] | 32) == 'x' && (target[1] | 32) == 'm' && (target[2] | 32) == 'l')
      return nullptr;
    if (at < end && *at != '?' && !is_xml_space(*at)) return nullptr;
    stop = find_word(at, end, "?>", 2);
    if (stop == end || (*at == '?' && stop != at)) return nullptr;
    stop += 2;
  } else {
    return nullptr;
  }
  return has_only_characters(start, stop) ? stop : nullptr;
}

inline bool is_visible(u8 c) { return c > ' ' && c < 0x80; }

// Strip white space of a text; give all of a text with markup, if there is more within it.
[[gnu::noinline]] inline Span Xml::within(Span text, bool markup) {
  if (!markup) return unicode_stripped(text);
  u8 *to = result.room(text.size);
  Span plain{to, unmark(text.data, text.data + text.size, to)};
  return unicode_stripped(plain).size ? text : Span{text.data, 0};
}

// Close an element whose children are written up to a place; give where the next node goes.
[[gnu::always_inline]] inline Node *Xml::close(Node &node, Node *to, const u8 *start_of_end,
                                               const u8 *end, bool markup) {
  u16 children = node.field;
  if (!(children & HAS_CHILDREN)) {
    const u8 *content = base + node.end;
    Span text{content, static_cast<std::size_t>(start_of_end - content)};
    if (markup || (text.size && (!is_visible(text.data[0]) || !is_visible(text.data[text.size - 1]))))
      text = within(text, markup);
    node.size = 1;
    node.field = 0;
    if (!text.size) {
      node.type = Type::NOTHING;
      node.end = position(end);
      return to;
    }
    node.type = Type::STRING;
    node.flags = markup ? MARKUP : 0;
    node.start = position(text.data);
    node.end = position(text.data + text.size);
    return to;
  }
  node.end = position(end);
  node.field = 0;
  if (!(children & HAS_OTHERS)) {
    node.type = Type::ARRAY;
    node.flags = KEYED;
    const Node *child = &node + 2;
    if (child->type == Type::ARRAY && child + child->size == to) {
      // A list of one list is taken for that list.
      std::size_t left = child->size - 1;
      std::memmove(&node + 1, child + 1, left * sizeof(Node));
      to -= 2;
    }
  }
  node.size = static_cast<u32>(to - &node);
  return to;
}

inline bool Xml::answer(const u8 *at, const u8 *end) {
  Buffer<Node> &nodes = tape.nodes;
  nodes.size = 0;
  const u8 *start = at;
  nodes.add(memory, {position(at), position(end), 1, Type::OBJECT, 0, 0});
  // Where the next node goes, and where there is no room for one.
  Node *to = nodes.data + 1, *full = nodes.data + nodes.capacity;
  // What is open has the number of what it is in for its size.
  u32 opened = 0, depth = 0;
  do {
    // A start tag.
    const u8 *tag = at, *stop = name(at + 1, end);
    if (!stop || stop >= end) return false;
    if (depth++ >= DEEPEST) return false;
    bool element = stop - at == 8 && !std::memcmp(at + 1, "element", 7);
    nodes[opened].field |= HAS_CHILDREN | (element ? 0 : HAS_OTHERS);
    if (full - to < 2) to = tape.make_room(memory, to), full = nodes.data + nodes.capacity;
    at = stop;
    if (*at != '>') {
      at = attributes(at, end);
      if (!at) return false;
    }
    bool empty = *at == '/';
    at += empty;
    if (at >= end || *at != '>') return false;
    at++;
    to[0] = {position(tag + 1), position(stop), 1, Type::KEY, 0, 0};
    to[1] = {position(tag), position(at), opened, Type::OBJECT, 0, 0};
    opened = static_cast<u32>(to + 1 - nodes.data);
    to += 2;
    bool markup = false;
    if (empty) {
      Node &node = nodes[opened];
      opened = node.size;
      to = close(node, to, at, at, false);
      depth--;
    }
    // Text and end tags, up to the next start tag.
    while (depth) {
      if (at < end && *at != '<') at = markup_stop(at, end);
      if (at >= end) return false;
      if (*at == '<') {
        if (end - at < 2) return false;
        if (at[1] == '!' || at[1] == '?') {
          at = passed_over(at, end);
          if (!at) return false;
          markup = true;
          continue;
        }
        if (at[1] != '/') break;
        Node &node = nodes[opened];
        const Node &key = (&node)[-1];
        u32 length = key.end - key.start;
        const u8 *before = at;
        at += 2;
        if (end - at < static_cast<std::ptrdiff_t>(length) ||
            !is_same(at, base + key.start, length, end))
          return false;
        at = skip_xml_space(at + length, end);
        if (at >= end || *at != '>') return false;
        opened = node.size;
        to = close(node, to, before, ++at, markup);
        depth--;
        markup = false;
      } else if (*at == ']') {
        if (starts(at, end, "]]>")) return false;
        at++;
      } else if (*at == '\r') {
        markup = true;
        at++;
      } else if (*at == '&') {
        u32 code;
        at = reference(at, end, code);
        if (!at) return false;
        markup = true;
      } else {
        return false;
      }
    }
  } while (depth);
  nodes[0].field = 0;
  nodes.size = static_cast<std::size_t>(to - nodes.data);
  nodes[0].size = static_cast<u32>(nodes.size);
  return at == end && start < end;
}

} // namespace reader
