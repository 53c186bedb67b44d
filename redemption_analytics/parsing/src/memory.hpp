// Memory: growing arrays without destructors, and one way out where there is no more of it.
#pragma once

#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace reader {

using u8 = unsigned char;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

// What a read gives back to its caller.
enum Outcome : int { DONE = 0, NO_MEMORY = 1, TOO_LARGE_BLOCK = 2, BAD_DECLARATION = 3 };

// All that one read allocates is counted here, and refused beyond the limit. No object on the
// stack has a destructor, so leaving by longjmp skips nothing.
struct Memory {
  std::jmp_buf out;
  std::size_t used = 0;
  std::size_t limit = 0;

  [[noreturn]] void fail(Outcome outcome) { std::longjmp(out, outcome); }

  void *resize(void *old, std::size_t had, std::size_t wanted) {
    if (wanted > limit || used - had > limit - wanted) fail(NO_MEMORY);
    void *now = std::realloc(old, wanted ? wanted : 1);
    if (!now) fail(NO_MEMORY);
    used += wanted - had;
    return now;
  }
};

// A growing array of plain values. Its owner frees it.
template <class T> struct Buffer {
  T *data = nullptr;
  std::size_t size = 0;
  std::size_t capacity = 0;

  void reserve(Memory &memory, std::size_t wanted) {
    if (wanted <= capacity) return;
    std::size_t next = capacity + capacity / 2 + 64;
    if (next < wanted) next = wanted;
    if (next > SIZE_MAX / sizeof(T)) memory.fail(NO_MEMORY);
    data = static_cast<T *>(memory.resize(data, capacity * sizeof(T), next * sizeof(T)));
    capacity = next;
  }

  T &add(Memory &memory) {
    if (size == capacity) reserve(memory, size + 1);
    return data[size++];
  }

  void add(Memory &memory, const T &value) { add(memory) = value; }

  void add(Memory &memory, const T *values, std::size_t count) {
    reserve(memory, size + count);
    if (count) std::memcpy(data + size, values, count * sizeof(T));
    size += count;
  }

  T &operator[](std::size_t at) { return data[at]; }
  const T &operator[](std::size_t at) const { return data[at]; }

  void release() {
    std::free(data);
    data = nullptr;
    size = capacity = 0;
  }
};

} // namespace reader
