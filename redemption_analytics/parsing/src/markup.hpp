// The markup of XML within a text: references, CDATA, comments, instructions, line ends.
#pragma once

#include "json.hpp"

namespace reader {

inline bool starts(const u8 *at, const u8 *end, const char *word) {
  std::size_t length = std::strlen(word);
  return static_cast<std::size_t>(end - at) >= length && !std::memcmp(at, word, length);
}

inline bool is_xml_character(u32 code) {
  return code == 9 || code == 10 || code == 13 || (code >= 0x20 && code < 0xd800) ||
         (code >= 0xe000 && code < 0xfffe) || (code >= 0x10000 && code <= 0x10ffff);
}

// Read a reference; nullptr if it is none of the five that need no declaration, nor a number.
inline const u8 *reference(const u8 *at, const u8 *end, u32 &code) {
  static const struct {
    const char *name;
    u8 character;
  } known[] = {{"&lt;", '<'}, {"&gt;", '>'}, {"&amp;", '&'}, {"&apos;", '\''}, {"&quot;", '"'}};
  for (const auto &one : known)
    if (starts(at, end, one.name)) return code = one.character, at + std::strlen(one.name);
  if (!starts(at, end, "&#")) return nullptr;
  at += 2;
  bool hex = at < end && *at == 'x';
  at += hex;
  const u8 *first = at;
  code = 0;
  for (; at < end && *at != ';'; at++) {
    int digit = hex_digit(*at);
    if (digit < 0 || (!hex && digit > 9)) return nullptr;
    code = code * (hex ? 16 : 10) + static_cast<u32>(digit);
    if (code > 0x10ffff) return nullptr;
  }
  return at < end && at > first && is_xml_character(code) ? at + 1 : nullptr;
}

// Write a text that is well-formed without its markup; it becomes no longer.
inline std::size_t unmark(const u8 *at, const u8 *end, u8 *to) {
  u8 *start = to;
  auto copy = [&](const u8 *stop) {
    while (at < stop) {
      if (*at == '\r') {
        *to++ = '\n';
        at += at + 1 < stop && at[1] == '\n' ? 2 : 1;
      } else {
        *to++ = *at++;
      }
    }
  };
  while (at < end) {
    if (*at == '&') {
      u32 code = 0;
      const u8 *after = reference(at, end, code);
      if (!after) break;
      to += write_character(to, code);
      at = after;
    } else if (*at != '<') {
      copy(find_either(at, end, '&', '<'));
    } else if (starts(at, end, "<![CDATA[")) {
      at += 9;
      copy(find_word(at, end, "]]>", 3));
      at += 3;
    } else if (starts(at, end, "<!--")) {
      at = find_word(at + 4, end, "-->", 3) + 3;
    } else {
      at = find_word(at, end, "?>", 2) + 2;
    }
  }
  return static_cast<std::size_t>(to - start);
}

} // namespace reader
