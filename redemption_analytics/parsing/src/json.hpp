// JSON to tape, in one pass and without recursion. What Python's json reads is read.
#pragma once

#include "tape.hpp"

namespace reader {

// Nothing recurses by the depth of a text; this bounds what is kept of it.
constexpr u32 DEEPEST = 1u << 18;

struct Json {
  Memory &memory;
  Tape &tape;
  const u8 *base; // positions count from there

  // Read the value at a place; give where it ends, or nullptr if it is no JSON.
  const u8 *value(const u8 *at, const u8 *end);

  const u8 *escaped_end(const u8 *at, const u8 *end);
  const u8 *plain_end(const u8 *at, const u8 *end, Type &type);

private:
  const u8 *number_end(const u8 *at, const u8 *end, Type &type);
  const u8 *word_end(const u8 *at, const u8 *end, Type &type);
};

inline bool is_digit(u8 byte) { return static_cast<u8>(byte - '0') < 10; }

struct HexDigits {
  signed char of[256];
  constexpr HexDigits() : of() {
    for (int i = 0; i < 256; i++)
      of[i] = static_cast<signed char>(i >= '0' && i <= '9'                 ? i - '0'
                                       : (i | 32) >= 'a' && (i | 32) <= 'f' ? (i | 32) - 'a' + 10
                                                                            : -1);
  }
};
inline constexpr HexDigits HEX_DIGITS;

inline int hex_digit(u8 byte) { return HEX_DIGITS.of[byte]; }

// Read the four digits of an escape, or -1.
inline int escaped_unit(const u8 *at, const u8 *end) {
  if (end - at < 4) return -1;
  int a = hex_digit(at[0]), b = hex_digit(at[1]), c = hex_digit(at[2]), d = hex_digit(at[3]);
  return (a | b | c | d) < 0 ? -1 : a << 12 | b << 8 | c << 4 | d;
}

// Find the end of an escape; nullptr if it is none.
inline const u8 *escape_end(const u8 *at, const u8 *end) {
  if (end - at < 2) return nullptr;
  switch (at[1]) {
  case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't': return at + 2;
  case 'u': return escaped_unit(at + 2, end) < 0 ? nullptr : at + 6;
  default: return nullptr;
  }
}

// Find the end of a text that has escapes, from the first of them.
[[gnu::noinline]] inline const u8 *Json::escaped_end(const u8 *at, const u8 *end) {
  while (end - at >= 16) {
    // Where there is one, there are often more.
    if (*at == '\\') {
      if (!(at = escape_end(at, end))) return nullptr;
      continue;
    }
    const u8 *block = at;
    at += 16;
    for (Mask m = string_stops(load(block)); m;) {
      const u8 *stop = block + first_of(m);
      if (*stop == '"') return stop;
      if (*stop != '\\' || !(stop = escape_end(stop, end))) return nullptr;
      if (stop >= at) {
        at = stop;
        break;
      }
      m &= ~first_bytes(static_cast<std::size_t>(stop - block));
    }
  }
  while (at < end && *at != '"')
    if (*at < ' ' || !(at = *at == '\\' ? escape_end(at, end) : at + 1)) return nullptr;
  return at < end ? at : nullptr;
}

inline const u8 *Json::number_end(const u8 *at, const u8 *end, Type &type) {
  type = Type::INTEGER;
  if (*at == '-') at++;
  if (at >= end || !is_digit(*at)) return nullptr;
  if (*at == '0') at++;
  else
    while (at < end && is_digit(*at)) at++;
  if (end - at >= 2 && *at == '.' && is_digit(at[1])) {
    type = Type::DECIMAL;
    at += 2;
    while (at < end && is_digit(*at)) at++;
  }
  if (at < end && (*at | 32) == 'e') {
    const u8 *digits = at + 1;
    if (digits < end && (*digits == '+' || *digits == '-')) digits++;
    if (digits < end && is_digit(*digits)) {
      type = Type::DECIMAL;
      at = digits;
      while (at < end && is_digit(*at)) at++;
    }
  }
  return at;
}

// A constant is a text without quotes.
[[gnu::noinline]] inline const u8 *Json::word_end(const u8 *at, const u8 *end, Type &type) {
  auto is = [&](const char *word, std::ptrdiff_t length) {
    return end - at >= length && !std::memcmp(at, word, static_cast<std::size_t>(length));
  };
  if (is("null", 4)) return type = Type::NOTHING, at + 4;
  if (is("true", 4)) return type = Type::TRUE, at + 4;
  if (is("false", 5)) return type = Type::FALSE, at + 5;
  type = Type::STRING;
  if (is("NaN", 3)) return at + 3;
  if (is("Infinity", 8)) return at + 8;
  if (is("-Infinity", 9)) return at + 9;
  return nullptr;
}

// Find the end of a number or a word.
[[gnu::always_inline]] inline const u8 *Json::plain_end(const u8 *at, const u8 *end, Type &type) {
  if (is_digit(*at) || (*at == '-' && (end - at < 2 || at[1] != 'I'))) return number_end(at, end, type);
  return word_end(at, end, type);
}

inline const u8 *Json::value(const u8 *at, const u8 *end) {
  Buffer<Node> &nodes = tape.nodes;
  nodes.size = 0;
  // Where the next node goes, and where there is no room for one.
  Node *to = nodes.data, *full = to + nodes.capacity;
  auto add = [&](const u8 *start, const u8 *stop, Type type, u8 flags) {
    to->start = static_cast<u32>(start - base);
    to->end = static_cast<u32>(stop - base);
    to->size = 1;
    to->type = type;
    to->flags = flags;
    to->field = 0;
    to++;
  };
  // What is open has the number of what it is in for its size.
  u32 opened = 0, depth = 0;
  bool object = false;
value:
  if (full - to < 2) to = tape.make_room(memory, to), full = nodes.data + nodes.capacity;
value_of_key:
  at = skip_space(at, end);
  if (at >= end) return nullptr;
  if (*at == '"') {
    const u8 *stop = string_stop(++at, end);
    u8 flags = 0;
    if (stop >= end || *stop != '"') {
      stop = escaped_end(stop, end);
      if (!stop) return nullptr;
      flags = ESCAPED;
    }
    add(at, stop, Type::STRING, flags);
    at = stop + 1;
  } else if (*at == '{' || *at == '[') {
    if (depth++ >= DEEPEST) return nullptr;
    object = *at == '{';
    add(at, at, object ? Type::OBJECT : Type::ARRAY, 0);
    to[-1].size = opened;
    opened = static_cast<u32>(to - 1 - nodes.data);
    at = skip_space(at + 1, end);
    if (at >= end) return nullptr;
    if (*at == (object ? '}' : ']')) goto close;
    if (object) goto key;
    goto value;
  } else {
    const u8 *start = at;
    Type type;
    at = plain_end(at, end, type);
    if (!at) return nullptr;
    add(start, at, type, type == Type::STRING ? u8(CONSTANT) : u8(0));
  }
closed:
  if (!depth) {
    nodes.size = static_cast<std::size_t>(to - nodes.data);
    return at;
  }
  at = skip_space(at, end);
  if (at >= end) return nullptr;
  if (*at == ',') {
    at++;
    if (!object) goto value;
    at = skip_space(at, end);
    goto key;
  }
  if (*at != (object ? '}' : ']')) return nullptr;
close: {
  Node &node = nodes[opened];
  u32 number = opened;
  opened = node.size;
  node.end = static_cast<u32>(++at - base);
  node.size = static_cast<u32>(to - nodes.data) - number;
  object = nodes[opened].type == Type::OBJECT;
  depth--;
  goto closed;
}
key:
  if (full - to < 2) to = tape.make_room(memory, to), full = nodes.data + nodes.capacity;
  if (at >= end || *at != '"') return nullptr;
  {
    const u8 *stop = string_stop(++at, end);
    u8 flags = 0;
    if (stop >= end || *stop != '"') {
      stop = escaped_end(stop, end);
      if (!stop) return nullptr;
      flags = ESCAPED;
    }
    add(at, stop, Type::KEY, flags);
    at = skip_space(stop + 1, end);
  }
  if (at >= end || *at != ':') return nullptr;
  at++;
  goto value_of_key;
}

// What writing a text without its escapes may overwrite behind it.
constexpr std::size_t SLACK = 16;

// Write a text without its escapes; it becomes no longer. Tell whether it holds no half of a
// surrogate pair.
inline bool unescape(const u8 *at, const u8 *end, u8 *to, std::size_t &length) {
  u8 *start = to;
  bool whole = true;
  while (at < end) {
    if (*at == '\\') {
    } else if (end - at >= 16) {
      std::memcpy(to, at, 16);
      Mask m = mask_of(equal(load(at), all('\\')));
      int plain = m ? first_of(m) : 16;
      to += plain;
      at += plain;
      if (!m) continue;
    } else {
      *to++ = *at++;
      continue;
    }
    u8 mark = at[1];
    at += 2;
    switch (mark) {
    case 'b': *to++ = '\b'; break;
    case 'f': *to++ = '\f'; break;
    case 'n': *to++ = '\n'; break;
    case 'r': *to++ = '\r'; break;
    case 't': *to++ = '\t'; break;
    case 'u': {
      u32 code = static_cast<u32>(escaped_unit(at, end));
      at += 4;
      if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
        int low = escaped_unit(at + 2, end);
        if (low >= 0xdc00 && low < 0xe000) {
          code = 0x10000 + ((code - 0xd800) << 10 | (static_cast<u32>(low) - 0xdc00));
          at += 6;
        }
      }
      if (code >= 0xd800 && code < 0xe000) whole = false;
      to += write_character(to, code);
      break;
    }
    default: *to++ = mark;
    }
  }
  length = static_cast<std::size_t>(to - start);
  return whole;
}

} // namespace reader
