// A hash of texts, to tell which are surely different: not against those who look for equal ones.
#pragma once

#include "memory.hpp"

namespace reader {

// Spread the bits of a word over all of it: https://prng.di.unimi.it/splitmix64.c
inline u64 spread(u64 word) {
  word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9;
  word = (word ^ word >> 27) * 0x94d049bb133111eb;
  return word ^ word >> 31;
}

inline u64 hash(const u8 *text, std::size_t size) {
  u64 so_far = spread(size + 0x9e3779b97f4a7c15);
  for (; size >= 8; text += 8, size -= 8) {
    u64 word;
    std::memcpy(&word, text, 8);
    so_far = spread(so_far ^ word) + 0x9e3779b97f4a7c15;
  }
  u64 last = 0;
  std::memcpy(&last, text, size);
  return spread(so_far ^ last);
}

} // namespace reader
