// What stages and the dispatcher need of a group of ranks. Implementations: cluster/ (serial, MPI).
#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace perfpipe {

/// A message that has arrived.
struct Message {
  int from = 0;
  std::string bytes;
};

/// A group of ranks. Every collective is called by all ranks of the group; `what` names the purpose in error messages.
/// With one rank each call is the identity. Failures throw DeviceError.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  /// Ranks with the same colour form a group, ordered by their present rank.
  virtual std::unique_ptr<Communicator> split(int colour, const std::string& what) = 0;
  /// The ranks of this node (they share its memory) form a group, ordered by their present rank.
  virtual std::unique_ptr<Communicator> split_by_node(const std::string& what) = 0;
  /// These ranks (ascending, this one among them) as a group of their own. Collective over them alone: the others need
  /// not know. `tag` tells groups apart that the same ranks make at the same time.
  virtual std::unique_ptr<Communicator> group(const std::vector<int>& ranks, int tag, const std::string& what) = 0;
  virtual void barrier(const std::string& what) = 0;
  /// `bytes` of `root` on all ranks.
  virtual std::string broadcast(std::string bytes, int root, const std::string& what) = 0;
  /// On `root` the bytes of every rank in order, elsewhere nothing.
  virtual std::vector<std::string> gather(const std::string& bytes, int root, const std::string& what) = 0;
  /// Element-wise sum over ranks, in place. Integers: the result does not depend on the order.
  virtual void allreduce_sum(std::span<std::int64_t> values, const std::string& what) = 0;
  /// Element-wise maximum over ranks, in place.
  virtual void allreduce_max(std::span<double> values, const std::string& what) = 0;

  /// Point to point, for small messages; may be called from several threads. `to` may be this rank.
  virtual void send(int to, std::string bytes, const std::string& what) = 0;
  /// A message sent to this rank, if one is there; never waits.
  virtual std::optional<Message> try_receive(int from, const std::string& what) = 0;
};

inline constexpr int any_rank = -1;

}  // namespace perfpipe
