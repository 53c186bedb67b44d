// What one read gives: rows, rejects, unknown fields. Rows are cells side by side until they are
// made columns, so that to take one back is to count one less.
#pragma once

#include "contract.hpp"

namespace reader {

// A text's cell: its place in the input or, with the highest bit set, among the decoded texts.
constexpr u64 DECODED = u64(1) << 63;
inline u64 text_cell(u64 start, u64 length, bool decoded) {
  return start | length << 32 | (decoded ? DECODED : 0);
}

enum RejectFlag : u32 {
  RAW_SAID = 1,    // its text is among the words
  IS_TEXT = 2,     // the value is a text
  IS_HIDDEN = 4,   // the value holds others
};

struct Reject {
  i32 reason;
  u32 table;
  u32 record;
  u32 start; // its text
  u32 end;
  u32 place; // of the value that is wrong, in the input
  u32 value; // that value, among the words
  u32 value_size;
  u32 path; // the way to it, among the words
  u32 path_size;
  u32 parameter;
  u32 flags;
};

struct Unknown {
  u32 object;
  u32 name; // among the words
  u32 size;
  u32 first; // record
  u64 count;
};

struct Result {
  Memory memory;
  const u8 *input = nullptr;
  std::size_t input_size = 0;
  u32 records = 0;
  Buffer<u64> rows[MOST_TABLES];
  Buffer<u8> texts; // decoded
  Buffer<u8> words; // of rejects and unknown fields
  Buffer<Reject> rejects;
  Buffer<Unknown> unknown;
  Buffer<u32> unknown_slots;
  Buffer<u32> starts; // how many records came before each stretch

  u32 count(const Contract &contract, u32 table) const {
    return static_cast<u32>(rows[table].size / contract.tables[table].stride());
  }

  u32 say(const u8 *text, std::size_t size) {
    if (words.size + size > 0xfffffff0u) memory.fail(TOO_LARGE_BLOCK);
    u32 at = static_cast<u32>(words.size);
    words.add(memory, text, size);
    return at;
  }

  u8 *room(std::size_t size) {
    if (texts.size + size > 0xfffffff0u) memory.fail(TOO_LARGE_BLOCK);
    texts.reserve(memory, texts.size + size);
    return texts.data + texts.size;
  }

  // Count an unknown field of an object; its name is among the words already.
  void meet(u32 object, u32 name, u32 size) {
    if (unknown_slots.size < 2 * (unknown.size + 1)) widen();
    u32 mask = static_cast<u32>(unknown_slots.size - 1);
    u32 slot = (hash_of(words.data + name, size) ^ object * 0x85ebca6bu) & mask;
    for (; unknown_slots[slot]; slot = (slot + 1) & mask) {
      Unknown &one = unknown[unknown_slots[slot] - 1];
      if (one.object == object && one.size == size &&
          (!size || !std::memcmp(words.data + one.name, words.data + name, size))) {
        one.count++;
        return;
      }
    }
    unknown.add(memory, {object, name, size, records, 1});
    unknown_slots[slot] = static_cast<u32>(unknown.size);
  }

  void release() {
    for (Buffer<u64> &table : rows) table.release();
    texts.release();
    words.release();
    rejects.release();
    unknown.release();
    unknown_slots.release();
    starts.release();
  }

private:
  void widen() {
    std::size_t size = unknown_slots.size ? 2 * unknown_slots.size : 64;
    unknown_slots.reserve(memory, size);
    unknown_slots.size = size;
    std::memset(unknown_slots.data, 0, size * sizeof(u32));
    for (std::size_t i = 0; i < unknown.size; i++) {
      const Unknown &one = unknown[i];
      u32 mask = static_cast<u32>(size - 1);
      u32 slot = (hash_of(words.data + one.name, one.size) ^ one.object * 0x85ebca6bu) & mask;
      while (unknown_slots[slot]) slot = (slot + 1) & mask;
      unknown_slots[slot] = static_cast<u32>(i + 1);
    }
  }
};

} // namespace reader
