#include "cluster/serial_communicator.hpp"

#include <deque>
#include <mutex>

namespace perfpipe {
namespace {

class SerialCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::unique_ptr<Communicator> split(int, const std::string&) override {
    return std::make_unique<SerialCommunicator>();
  }
  std::unique_ptr<Communicator> split_by_node(const std::string&) override {
    return std::make_unique<SerialCommunicator>();
  }
  std::unique_ptr<Communicator> group(const std::vector<int>& ranks, int, const std::string& what) override {
    for (const int rank : ranks) check(rank, what);
    return std::make_unique<SerialCommunicator>();
  }
  void barrier(const std::string&) override {}
  std::string broadcast(std::string bytes, int root, const std::string& what) override {
    check(root, what);
    return bytes;
  }
  std::vector<std::string> gather(const std::string& bytes, int root, const std::string& what) override {
    check(root, what);
    return {bytes};
  }
  void allreduce_sum(std::span<std::int64_t>, const std::string&) override {}
  void allreduce_max(std::span<double>, const std::string&) override {}

  void send(int to, std::string bytes, const std::string& what) override {
    check(to, what);
    const std::lock_guard lock(guard_);
    inbox_.push_back({0, std::move(bytes)});
  }
  std::optional<Message> try_receive(int from, const std::string& what) override {
    if (from != any_rank) check(from, what);
    const std::lock_guard lock(guard_);
    if (inbox_.empty()) return std::nullopt;
    Message message = std::move(inbox_.front());
    inbox_.pop_front();
    return message;
  }

 private:
  static void check(int rank, const std::string& what) {
    if (rank != 0) throw DeviceError(what + ": rank " + std::to_string(rank) + " named, but there is only rank 0");
  }
  std::mutex guard_;
  std::deque<Message> inbox_;
};

}  // namespace

std::unique_ptr<Communicator> make_serial_communicator() { return std::make_unique<SerialCommunicator>(); }

}  // namespace perfpipe
