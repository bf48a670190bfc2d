// Arrays of numbers that are written before they are read.
#pragma once

#include <memory>
#include <utility>
#include <vector>

namespace perfpipe {

/// As std::allocator, but elements that are given no value are left as they are: zeros for what is overwritten at once
/// cost as much time as reading it.
template <class T>
struct Uninitialised : std::allocator<T> {
  template <class U>
  struct rebind {
    using other = Uninitialised<U>;
  };
  template <class U>
  void construct(U* at) {
    ::new (static_cast<void*>(at)) U;
  }
  template <class U, class... Arguments>
  void construct(U* at, Arguments&&... arguments) {
    ::new (static_cast<void*>(at)) U(std::forward<Arguments>(arguments)...);
  }
};

/// What is read of a volume. `RawValues<float>(n)` holds anything.
template <class T>
using RawValues = std::vector<T, Uninitialised<T>>;

}  // namespace perfpipe
