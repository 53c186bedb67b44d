// JSON to tape, in one pass and without recursion. What Python's json reads is read.
#pragma once

#include "tape.hpp"

namespace reader {

// Nothing recurses by the depth of a text; this bounds what is kept of it.
constexpr u32 DEEPEST = 1u << 20;

struct Json {
  Memory &memory;
  Tape &tape;
  const u8 *base; // positions count from there

  // Read the value at a place; give where it ends, or nullptr if it is no JSON.
  const u8 *value(const u8 *at, const u8 *end);

private:
  const u8 *text(const u8 *at, const u8 *end, Type type);
  const u8 *number(const u8 *at, const u8 *end);
  const u8 *word(const u8 *at, const u8 *end);

  Node &add(const u8 *start, const u8 *end, Type type, u8 flags = 0) {
    Node &node = tape.nodes.add(memory);
    node = {static_cast<u32>(start - base), static_cast<u32>(end - base), 1, type, flags, 0};
    return node;
  }

  void close(const u8 *end) {
    u32 opened = tape.open[--tape.open.size];
    tape.nodes[opened].end = static_cast<u32>(end - base);
    tape.nodes[opened].size = static_cast<u32>(tape.nodes.size) - opened;
  }
};

inline bool is_digit(u8 byte) { return static_cast<u8>(byte - '0') < 10; }

inline int hex_digit(u8 byte) {
  if (is_digit(byte)) return byte - '0';
  byte |= 32;
  return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

// Read the four digits of an escape, or -1.
inline int escaped_unit(const u8 *at, const u8 *end) {
  if (end - at < 4) return -1;
  int unit = 0;
  for (int i = 0; i < 4; i++) {
    int digit = hex_digit(at[i]);
    if (digit < 0) return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

// After the opening quote.
inline const u8 *Json::text(const u8 *at, const u8 *end, Type type) {
  const u8 *start = at;
  u8 flags = 0;
  for (;;) {
    at = string_stop(at, end);
    if (at >= end) return nullptr;
    if (*at == '"') break;
    if (*at != '\\' || end - at < 2) return nullptr;
    flags = ESCAPED;
    switch (at[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't':
      at += 2;
      break;
    case 'u':
      if (escaped_unit(at + 2, end) < 0) return nullptr;
      at += 6;
      break;
    default:
      return nullptr;
    }
  }
  add(start, at, type, flags);
  return at + 1;
}

inline const u8 *Json::number(const u8 *at, const u8 *end) {
  const u8 *start = at;
  if (*at == '-') at++;
  if (at >= end || !is_digit(*at)) return nullptr;
  if (*at == '0') at++;
  else
    while (at < end && is_digit(*at)) at++;
  Type type = Type::INTEGER;
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
  add(start, at, type);
  return at;
}

inline const u8 *Json::word(const u8 *at, const u8 *end) {
  auto is = [&](const char *word, std::ptrdiff_t length) {
    return end - at >= length && !std::memcmp(at, word, static_cast<std::size_t>(length));
  };
  auto take = [&](int length, Type type, u8 flags = 0) {
    add(at, at + length, type, flags);
    return at + length;
  };
  if (is("null", 4)) return take(4, Type::NOTHING);
  if (is("true", 4)) return take(4, Type::TRUE);
  if (is("false", 5)) return take(5, Type::FALSE);
  if (is("NaN", 3)) return take(3, Type::STRING, CONSTANT);
  if (is("Infinity", 8)) return take(8, Type::STRING, CONSTANT);
  if (is("-Infinity", 9)) return take(9, Type::STRING, CONSTANT);
  return nullptr;
}

inline const u8 *Json::value(const u8 *at, const u8 *end) {
  tape.clear();
value:
  at = skip_space(at, end);
  if (at >= end) return nullptr;
  switch (*at) {
  case '{':
  case '[': {
    if (tape.open.size >= DEEPEST) return nullptr;
    bool object = *at == '{';
    tape.open.add(memory, static_cast<u32>(tape.nodes.size));
    add(at, at, object ? Type::OBJECT : Type::ARRAY);
    at = skip_space(at + 1, end);
    if (at >= end) return nullptr;
    if (*at == (object ? '}' : ']')) {
      close(++at);
      goto closed;
    }
    if (object) goto key;
    goto value;
  }
  case '"':
    at = text(at + 1, end, Type::STRING);
    break;
  case '-':
    if (end - at >= 2 && at[1] == 'I') at = word(at, end);
    else at = number(at, end);
    break;
  case '0': case '1': case '2': case '3': case '4':
  case '5': case '6': case '7': case '8': case '9':
    at = number(at, end);
    break;
  default:
    at = word(at, end);
  }
  if (!at) return nullptr;
closed:
  if (!tape.open.size) return at;
  at = skip_space(at, end);
  if (at >= end) return nullptr;
  if (tape.nodes[tape.open[tape.open.size - 1]].type == Type::OBJECT) {
    if (*at == '}') {
      close(++at);
      goto closed;
    }
    if (*at != ',') return nullptr;
    at = skip_space(at + 1, end);
    goto key;
  }
  if (*at == ']') {
    close(++at);
    goto closed;
  }
  if (*at != ',') return nullptr;
  at++;
  goto value;
key:
  if (at >= end || *at != '"') return nullptr;
  at = text(at + 1, end, Type::KEY);
  if (!at) return nullptr;
  at = skip_space(at, end);
  if (at >= end || *at != ':') return nullptr;
  at++;
  goto value;
}

// Write a text without its escapes; it becomes no longer. Tell whether it holds no half of a
// surrogate pair.
inline bool unescape(const u8 *at, const u8 *end, u8 *to, std::size_t &length) {
  u8 *start = to;
  bool whole = true;
  while (at < end) {
    if (*at != '\\') {
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
