// Text scanning: sixteen bytes at a time where the processor can, never beyond the end.
#pragma once

#include "memory.hpp"

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#define READER_SSE2 1
#elif defined(__aarch64__) && defined(__ARM_NEON)
#include <arm_neon.h>
#define READER_NEON 1
#endif

namespace reader {

struct Span {
  const u8 *data;
  std::size_t size;
};

#if READER_SSE2
// A bit for each of sixteen bytes.
using Mask = u32;
using Bytes = __m128i;
inline Bytes load(const u8 *at) { return _mm_loadu_si128(reinterpret_cast<const __m128i *>(at)); }
inline Bytes all(u8 byte) { return _mm_set1_epi8(static_cast<char>(byte)); }
inline Bytes equal(Bytes a, Bytes b) { return _mm_cmpeq_epi8(a, b); }
inline Bytes either(Bytes a, Bytes b) { return _mm_or_si128(a, b); }
inline Bytes both(Bytes a, Bytes b) { return _mm_and_si128(a, b); }
inline Bytes at_most(Bytes a, Bytes most) { return _mm_cmpeq_epi8(_mm_min_epu8(a, most), a); }
inline Bytes minus(Bytes a, Bytes b) { return _mm_sub_epi8(a, b); }
inline Mask mask_of(Bytes a) { return static_cast<Mask>(_mm_movemask_epi8(a)); }
inline int first_of(Mask mask) { return __builtin_ctz(mask); }
constexpr Mask FULL = 0xffff;
inline Mask first_bytes(std::size_t count) { return count >= 16 ? FULL : (1u << count) - 1; }
inline Mask after_one(Mask mask) { return mask << 1; }
inline Mask beyond_ascii(Bytes a) { return mask_of(a); }
inline bool is_ascii(Bytes a) { return _mm_movemask_epi8(a) == 0; }
#elif READER_NEON
// Four bits for each of sixteen bytes.
using Mask = u64;
using Bytes = uint8x16_t;
inline Bytes load(const u8 *at) { return vld1q_u8(at); }
inline Bytes all(u8 byte) { return vdupq_n_u8(byte); }
inline Bytes equal(Bytes a, Bytes b) { return vceqq_u8(a, b); }
inline Bytes either(Bytes a, Bytes b) { return vorrq_u8(a, b); }
inline Bytes both(Bytes a, Bytes b) { return vandq_u8(a, b); }
inline Bytes at_most(Bytes a, Bytes most) { return vcleq_u8(a, most); }
inline Bytes minus(Bytes a, Bytes b) { return vsubq_u8(a, b); }
inline Mask mask_of(Bytes a) {
  return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(a), 4)), 0);
}
inline int first_of(Mask mask) { return __builtin_ctzll(mask) >> 2; }
constexpr Mask FULL = ~Mask(0);
inline Mask first_bytes(std::size_t count) {
  return count >= 16 ? FULL : (Mask(1) << (4 * count)) - 1;
}
inline Mask after_one(Mask mask) { return mask << 4; }
inline Mask beyond_ascii(Bytes a) { return mask_of(vcgeq_u8(a, all(0x80))); }
inline bool is_ascii(Bytes a) { return vmaxvq_u8(a) < 0x80; }
#else
// Byte by byte, in the same words.
using Mask = u32;
struct Bytes {
  u8 of[16];
};
inline Bytes load(const u8 *at) {
  Bytes b;
  std::memcpy(b.of, at, 16);
  return b;
}
inline Bytes all(u8 byte) {
  Bytes b;
  std::memset(b.of, byte, 16);
  return b;
}
template <class Function> inline Bytes each(Bytes a, Bytes b, Function function) {
  for (int i = 0; i < 16; i++) a.of[i] = function(a.of[i], b.of[i]);
  return a;
}
inline Bytes equal(Bytes a, Bytes b) {
  return each(a, b, [](u8 x, u8 y) { return u8(x == y ? 255 : 0); });
}
inline Bytes either(Bytes a, Bytes b) {
  return each(a, b, [](u8 x, u8 y) { return u8(x | y); });
}
inline Bytes both(Bytes a, Bytes b) {
  return each(a, b, [](u8 x, u8 y) { return u8(x & y); });
}
inline Bytes at_most(Bytes a, Bytes most) {
  return each(a, most, [](u8 x, u8 y) { return u8(x <= y ? 255 : 0); });
}
inline Bytes minus(Bytes a, Bytes b) {
  return each(a, b, [](u8 x, u8 y) { return u8(x - y); });
}
inline Mask mask_of(Bytes a) {
  Mask mask = 0;
  for (int i = 0; i < 16; i++) mask |= Mask(a.of[i] >> 7) << i;
  return mask;
}
inline int first_of(Mask mask) { return __builtin_ctz(mask); }
constexpr Mask FULL = 0xffff;
inline Mask first_bytes(std::size_t count) { return count >= 16 ? FULL : (1u << count) - 1; }
inline Mask after_one(Mask mask) { return mask << 1; }
inline Mask beyond_ascii(Bytes a) { return mask_of(a); }
inline bool is_ascii(Bytes a) { return mask_of(a) == 0; }
#endif

// Tell which bytes are quotes, backslashes or control characters.
[[gnu::always_inline]] inline Mask string_stops(Bytes b) {
  return mask_of(either(either(equal(b, all('"')), equal(b, all('\\'))), at_most(b, all(0x1f))));
}

// Find the first quote, backslash or control character.
[[gnu::always_inline]] inline const u8 *string_stop(const u8 *at, const u8 *end) {
  for (; end - at >= 16; at += 16)
    if (Mask m = string_stops(load(at))) return at + first_of(m);
  while (at < end && *at != '"' && *at != '\\' && *at > 0x1f) at++;
  return at;
}

// Find the first byte of either kind; the end, if there is none.
inline const u8 *find_either(const u8 *at, const u8 *end, u8 one, u8 other) {
  const Bytes a = all(one), c = all(other);
  for (; end - at >= 16; at += 16) {
    Bytes b = load(at);
    if (Mask m = mask_of(either(equal(b, a), equal(b, c)))) return at + first_of(m);
  }
  while (at < end && *at != one && *at != other) at++;
  return at;
}

inline const u8 *find_byte(const u8 *at, const u8 *end, u8 byte) {
  if (at >= end) return end;
  const void *found = std::memchr(at, byte, static_cast<std::size_t>(end - at));
  return found ? static_cast<const u8 *>(found) : end;
}

// Find a word of at least two bytes: by its middle and its last one, for first ones are often quotes.
inline const u8 *find_word(const u8 *at, const u8 *end, const char *word, std::size_t length) {
  if (end - at < static_cast<std::ptrdiff_t>(length)) return end;
  const u8 *last = end - length;
  const std::size_t half = (length - 1) / 2;
  const Bytes middle = all(static_cast<u8>(word[half]));
  const Bytes final = all(static_cast<u8>(word[length - 1]));
  while (last - at >= 16) {
    Mask m = mask_of(both(equal(load(at + half), middle), equal(load(at + length - 1), final)));
    while (m) {
      int i = first_of(m);
      if (!std::memcmp(at + i, word, length)) return at + i;
      m &= m - 1;
#if READER_NEON
      m &= ~(Mask(15) << (4 * i));
#endif
    }
    at += 16;
  }
  for (; at <= last; at++)
    if (*at == static_cast<u8>(word[0]) && !std::memcmp(at, word, length)) return at;
  return end;
}

// Tell whether two texts are the same, of which the first ends before `end`, and the other before it.
inline bool is_same(const u8 *at, const u8 *other, std::size_t length, const u8 *end) {
  if (length > 16 || end - at < 16) return !std::memcmp(at, other, length);
  return !(first_bytes(length) & ~mask_of(equal(load(at), load(other))));
}

// White space in JSON.
inline bool is_space(u8 byte) {
  return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

// What is blank in a value: white space of ASCII.
inline bool is_blank(u8 byte) { return byte == ' ' || (byte >= 9 && byte <= 13); }

[[gnu::noinline]] inline const u8 *skip_spaces(const u8 *at, const u8 *end) {
  while (at < end && is_space(*at)) {
    at++;
    // Indented text has long runs of blanks.
    if (end - at >= 16) {
      Bytes b = load(at);
      Mask m = mask_of(either(equal(b, all(' ')), equal(b, all('\n')))) ^ FULL;
      if (m) at += first_of(m);
      else at += 16;
    }
  }
  return at;
}

[[gnu::always_inline]] inline const u8 *skip_space(const u8 *at, const u8 *end) {
  if (at >= end || *at > ' ') return at;
  // Mostly there is one blank, or none.
  if (end - at > 1 && *at == ' ' && at[1] > ' ') return at + 1;
  return skip_spaces(at, end);
}

inline Span stripped(Span text) {
  while (text.size && is_blank(text.data[0])) text.data++, text.size--;
  while (text.size && is_blank(text.data[text.size - 1])) text.size--;
  return text;
}

// Read one character of UTF-8; 0 bytes if it is none. Halves of surrogate pairs are none.
inline int character_at(const u8 *at, const u8 *end, u32 &code) {
  std::ptrdiff_t left = end - at;
  if (left <= 0) return 0;
  u8 a = at[0];
  if (a < 0x80) return code = a, 1;
  auto goes_on = [&](int i) { return (at[i] & 0xc0) == 0x80; };
  if (a >= 0xc2 && a < 0xe0 && left >= 2 && goes_on(1)) {
    code = (a & 31u) << 6 | (at[1] & 63u);
    return 2;
  }
  if (a >= 0xe0 && a < 0xf0 && left >= 3 && goes_on(1) && goes_on(2)) {
    code = (a & 15u) << 12 | (at[1] & 63u) << 6 | (at[2] & 63u);
    return code >= 0x800 && (code < 0xd800 || code > 0xdfff) ? 3 : 0;
  }
  if (a >= 0xf0 && a < 0xf5 && left >= 4 && goes_on(1) && goes_on(2) && goes_on(3)) {
    code = (a & 7u) << 18 | (at[1] & 63u) << 12 | (at[2] & 63u) << 6 | (at[3] & 63u);
    return code >= 0x10000 && code <= 0x10ffff ? 4 : 0;
  }
  return 0;
}

// Find the end of a character of UTF-8 beyond ASCII; nullptr if it is none.
inline const u8 *character_end(const u8 *at, const u8 *end, bool xml) {
  if (end - at >= 3 && (at[1] & 0xc0) == 0x80) {
    u8 a = at[0];
    if (a >= 0xc2 && a < 0xe0) return at + 2;
    // Neither one that takes but two bytes, nor half of a surrogate pair, nor none in XML.
    if (a > 0xe0 && a < 0xef && a != 0xed && (at[2] & 0xc0) == 0x80) return at + 3;
  }
  u32 code;
  int length = character_at(at, end, code);
  return !length || (xml && (code == 0xfffe || code == 0xffff)) ? nullptr : at + length;
}

// Find how many of sixteen bytes are whole characters of two or three bytes, or of one; 0 where some
// are none, or have to be looked at one by one.
inline std::size_t whole_characters(Bytes b) {
  const Bytes goes_on = at_most(minus(b, all(0x80)), all(0x3f));
  const Bytes two = at_most(minus(b, all(0xc2)), all(0x1d)), three = at_most(minus(b, all(0xe1)), all(0x0d));
  const Bytes lead = either(two, three);
  // Halves of surrogate pairs begin with one of these.
  if (mask_of(equal(b, all(0xed)))) return 0;
  if (mask_of(either(lead, goes_on)) != beyond_ascii(b)) return 0;
  Mask after = after_one(mask_of(lead)) | after_one(after_one(mask_of(three)));
  if ((after ^ mask_of(goes_on)) & FULL) return 0;
  Mask last = mask_of(lead) & ~first_bytes(15), last_two = mask_of(three) & ~first_bytes(14);
  return last_two ? static_cast<std::size_t>(first_of(last_two)) : last ? 15 : 16;
}

// Tell whether text is UTF-8; of XML, without the two characters that are none there.
inline bool is_utf8(const u8 *at, const u8 *end, bool xml) {
  while (at < end) {
    if (end - at >= 16) {
      Bytes b = load(at);
      Mask m = beyond_ascii(b);
      if (!m) {
        at += 16;
        while (end - at >= 64 && is_ascii(either(either(load(at), load(at + 16)),
                                                 either(load(at + 32), load(at + 48)))))
          at += 64;
        continue;
      }
      if (std::size_t whole = whole_characters(b)) {
        at += whole;
        continue;
      }
      at += first_of(m);
    }
    while (at < end && (*at >= 0x80 || end - at < 16))
      if (!(at = *at < 0x80 ? at + 1 : character_end(at, end, xml))) return false;
  }
  return true;
}

// White space as Python's str knows it.
inline bool is_unicode_space(u32 code) {
  if (code < 0x80) return (code >= 9 && code <= 13) || (code >= 0x1c && code <= 0x20);
  return code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) ||
         code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

inline const u8 *skip_unicode_space(const u8 *at, const u8 *end) {
  u32 code;
  for (int length; (length = character_at(at, end, code)) && is_unicode_space(code);) at += length;
  return at;
}

// Strip white space of every kind, as Python's str.strip does.
inline Span unicode_stripped(Span text) {
  const u8 *at = skip_unicode_space(text.data, text.data + text.size);
  const u8 *end = text.data + text.size;
  while (end > at) {
    const u8 *start = end - 1;
    while (start > at && (*start & 0xc0) == 0x80 && end - start < 4) start--;
    u32 code = 0;
    if (character_at(start, end, code) != end - start || !is_unicode_space(code)) break;
    end = start;
  }
  return {at, static_cast<std::size_t>(end - at)};
}

// Write a character as UTF-8; a half of a surrogate pair as if it were one.
inline int write_character(u8 *to, u32 code) {
  if (code < 0x80) return to[0] = static_cast<u8>(code), 1;
  if (code < 0x800) {
    to[0] = static_cast<u8>(0xc0 | code >> 6);
    to[1] = static_cast<u8>(0x80 | (code & 63));
    return 2;
  }
  if (code < 0x10000) {
    to[0] = static_cast<u8>(0xe0 | code >> 12);
    to[1] = static_cast<u8>(0x80 | (code >> 6 & 63));
    to[2] = static_cast<u8>(0x80 | (code & 63));
    return 3;
  }
  to[0] = static_cast<u8>(0xf0 | code >> 18);
  to[1] = static_cast<u8>(0x80 | (code >> 12 & 63));
  to[2] = static_cast<u8>(0x80 | (code >> 6 & 63));
  to[3] = static_cast<u8>(0x80 | (code & 63));
  return 4;
}

} // namespace reader
