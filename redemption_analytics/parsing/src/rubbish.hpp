// What may stand in the place of a record, in one piece: zeros of a sparse copy, the headers of HTTP,
// a page of HTML.
#pragma once

#include "markup.hpp"

namespace reader {

inline u8 lower(u8 c) { return c >= 'A' && c <= 'Z' ? c | 32 : c; }

inline bool starts_in_any_case(const u8 *at, const u8 *end, const char *word) {
  for (; *word; word++, at++)
    if (at == end || lower(*at) != static_cast<u8>(*word)) return false;
  return true;
}

inline bool is_word(u8 c) {
  return static_cast<u8>((c | 32) - 'a') < 26 || is_digit(c) || c == '_';
}

inline const u8 *skip_blanks(const u8 *at, const u8 *end) {
  while (at < end && is_blank(*at)) at++;
  return at;
}

// Each finds where its kind ends that starts at a place, or gives nullptr.

inline const u8 *zeros_end(const u8 *at, const u8 *end) {
  if (at == end || *at) return nullptr;
  while (at < end && (!*at || is_blank(*at))) at++;
  return at;
}

// A status line, and lines that begin with a name and a colon; there may be several such.
inline const u8 *headers_end(const u8 *at, const u8 *end) {
  const u8 *found = nullptr;
  while (end - at > 5 && starts_in_any_case(at, end, "http/") && is_digit(at[5])) {
    at = find_byte(at, end, '\n');
    while (end - at > 1) {
      const u8 *name = at + 1, *stop = name;
      while (stop < end && *stop && (is_word(*stop) || std::strchr("!#$%&'*+.^`|~-", *stop))) stop++;
      if (stop == name || stop == end || *stop != ':') break;
      at = find_byte(stop, end, '\n');
    }
    found = at = skip_blanks(at, end);
  }
  return found;
}

inline const u8 *page_end(const u8 *at, const u8 *end) {
  if (at == end || *at++ != '<') return nullptr;
  if (starts_in_any_case(at, end, "!doctype")) {
    const u8 *after = skip_blanks(at + 8, end);
    if (after == at + 8) return nullptr;
    at = after;
  }
  if (!starts_in_any_case(at, end, "html") || (at + 4 < end && is_word(at[4]))) return nullptr;
  for (at += 4; (at = find_byte(at, end, '<')) < end; at++) {
    if (!starts_in_any_case(at, end, "</html")) continue;
    const u8 *after = skip_blanks(at + 6, end);
    if (after < end && *after == '>') return after + 1;
  }
  return end;
}

inline const u8 *rubbish_end(const u8 *at, const u8 *end) {
  const u8 *found = zeros_end(at, end);
  if (!found) found = headers_end(at, end);
  return found ? found : page_end(at, end);
}

} // namespace reader
