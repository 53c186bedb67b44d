// The tape: a record's values in the order of the text, each with the size of what it holds.
#pragma once

#include "text.hpp"

namespace reader {

enum class Type : u8 { OBJECT, ARRAY, STRING, INTEGER, DECIMAL, TRUE, FALSE, NOTHING, KEY };

enum Flag : u8 {
  ESCAPED = 1,  // a text with escapes of JSON
  MARKUP = 2,   // a text with references, CDATA, comments or line ends of XML
  CONSTANT = 4, // NaN and the like: a text without quotes
  KEYED = 8,    // an array whose items have keys before them
};

// Of texts, start and end are those of the content; of others, of the whole.
struct Node {
  u32 start;
  u32 end;
  u32 size; // in nodes, itself and all that it holds; while it is open, the number of what it is in
  Type type;
  u8 flags;
  u16 field;
};

struct Tape {
  Buffer<Node> nodes;

  // Make room for a key and a value after what is written; give where they go.
  [[gnu::noinline]] Node *make_room(Memory &memory, Node *to) {
    nodes.size = static_cast<std::size_t>(to - nodes.data);
    nodes.reserve(memory, nodes.size + 2);
    return nodes.data + nodes.size;
  }

  void release() { nodes.release(); }
};

// Goes through what an object or an array holds.
struct Children {
  const Node *at;
  const Node *end;
  bool keyed;

  explicit Children(const Node &of)
      : at(&of + 1), end(&of + of.size),
        keyed(of.type == Type::OBJECT || (of.flags & KEYED)) {}

  bool more() const { return at < end; }
  const Node &key() const { return *at; }
  const Node &value() const { return at[keyed]; }
  void next() { at += keyed + value().size; }
};

} // namespace reader
