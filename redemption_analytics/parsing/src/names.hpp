// Names that were met, each once.
#pragma once

#include "text.hpp"

namespace reader {

inline u32 hash_of(const u8 *name, u32 length) {
  u32 hash = length * 0x9e3779b1u;
  for (u32 i = 0; i < length; i++) hash = (hash ^ name[i]) * 0x01000193u;
  return hash ^ hash >> 15;
}

struct Names {
  static constexpr u32 NEW = 0xffffffff;
  Buffer<Span> met;
  Buffer<u32> slots; // numbers of names by their hashes, plus one

  const Span &operator[](u32 number) const { return met[number]; }

  void clear() {
    met.size = 0;
    if (slots.size) std::memset(slots.data, 0, slots.size * sizeof(u32));
  }

  // Meet a name: give the number that it has already, or NEW.
  u32 add(Memory &memory, Span name) {
    if (slots.size < 2 * (met.size + 1)) widen(memory);
    u32 &slot = slots[find(name)];
    if (slot) return slot - 1;
    met.add(memory, name);
    slot = static_cast<u32>(met.size);
    return NEW;
  }

  void release() {
    met.release();
    slots.release();
  }

private:
  std::size_t find(Span name) const {
    std::size_t mask = slots.size - 1;
    std::size_t slot = hash_of(name.data, static_cast<u32>(name.size)) & mask;
    for (; slots[slot]; slot = (slot + 1) & mask) {
      const Span &other = met[slots[slot] - 1];
      if (other.size == name.size && !std::memcmp(other.data, name.data, name.size)) break;
    }
    return slot;
  }

  void widen(Memory &memory) {
    std::size_t size = slots.size ? 2 * slots.size : 16;
    slots.reserve(memory, size);
    slots.size = size;
    std::memset(slots.data, 0, size * sizeof(u32));
    for (std::size_t i = 0; i < met.size; i++) slots[find(met[i])] = static_cast<u32>(i + 1);
  }
};

} // namespace reader
