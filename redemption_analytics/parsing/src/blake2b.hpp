// BLAKE2b with digests of sixteen bytes, as RFC 7693 has it: https://www.rfc-editor.org/rfc/rfc7693
#pragma once

#include "memory.hpp"

namespace reader {

constexpr u64 BLAKE2B_START[8] = {
    0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
    0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};

constexpr u8 BLAKE2B_ORDER[12][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4},
    {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13},
    {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11},
    {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5},
    {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15},
    {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3}};

inline u64 rotated(u64 word, int by) { return word >> by | word << (64 - by); }

inline void blake2b_mix(u64 *v, int a, int b, int c, int d, u64 x, u64 y) {
  v[a] += v[b] + x;
  v[d] = rotated(v[d] ^ v[a], 32);
  v[c] += v[d];
  v[b] = rotated(v[b] ^ v[c], 24);
  v[a] += v[b] + y;
  v[d] = rotated(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = rotated(v[b] ^ v[c], 63);
}

inline void blake2b_block(u64 *h, const u8 *block, u64 count, bool last) {
  u64 v[16], m[16];
  for (int i = 0; i < 16; i++) {
    m[i] = 0;
    for (int j = 7; j >= 0; j--) m[i] = m[i] << 8 | block[8 * i + j];
  }
  for (int i = 0; i < 8; i++) v[i] = h[i], v[i + 8] = BLAKE2B_START[i];
  v[12] ^= count;
  if (last) v[14] = ~v[14];
  for (const u8 *s : BLAKE2B_ORDER) {
    blake2b_mix(v, 0, 4, 8, 12, m[s[0]], m[s[1]]);
    blake2b_mix(v, 1, 5, 9, 13, m[s[2]], m[s[3]]);
    blake2b_mix(v, 2, 6, 10, 14, m[s[4]], m[s[5]]);
    blake2b_mix(v, 3, 7, 11, 15, m[s[6]], m[s[7]]);
    blake2b_mix(v, 0, 5, 10, 15, m[s[8]], m[s[9]]);
    blake2b_mix(v, 1, 6, 11, 12, m[s[10]], m[s[11]]);
    blake2b_mix(v, 2, 7, 8, 13, m[s[12]], m[s[13]]);
    blake2b_mix(v, 3, 4, 9, 14, m[s[14]], m[s[15]]);
  }
  for (int i = 0; i < 8; i++) h[i] ^= v[i] ^ v[i + 8];
}

// Write the digest of a text in 32 hexadecimal digits.
inline void blake2b_hex(const u8 *text, std::size_t size, u8 *to) {
  u64 h[8];
  std::memcpy(h, BLAKE2B_START, sizeof h);
  h[0] ^= 0x01010000 ^ 16;
  std::size_t done = 0;
  for (; size - done > 128; done += 128) blake2b_block(h, text + done, done + 128, false);
  u8 block[128] = {};
  if (size > done) std::memcpy(block, text + done, size - done);
  blake2b_block(h, block, size, true);
  static const char digits[] = "0123456789abcdef";
  for (int i = 0; i < 16; i++) {
    u8 byte = static_cast<u8>(h[i / 8] >> 8 * (i % 8));
    to[2 * i] = static_cast<u8>(digits[byte >> 4]);
    to[2 * i + 1] = static_cast<u8>(digits[byte & 15]);
  }
}

} // namespace reader
