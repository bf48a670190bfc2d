#include "pipeline/threads_of_rank.hpp"

#include <algorithm>
#include <map>
#include <sched.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

namespace perfpipe {

int share_of_cores(const std::vector<std::vector<std::string>>& cores, int rank) {
  std::map<std::string, int> users;
  for (const auto& of_rank : cores)
    for (const auto& core : of_rank) ++users[core];
  double share = 0.0;
  for (const auto& core : cores.at(static_cast<std::size_t>(rank))) share += 1.0 / users[core];
  return std::max(1, static_cast<int>(share + 1e-9));
}

int threads_of_this_rank(Communicator& communicator) {
  char host[256] = "";
  ::gethostname(host, sizeof(host) - 1);
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<std::string> mine;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0)
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
      if (CPU_ISSET(cpu, &set)) mine.push_back(std::string(host) + "/" + std::to_string(cpu));
  const auto parts = communicator.gather(nlohmann::json(mine).dump(), 0, "cores of the ranks");
  nlohmann::json all = nlohmann::json::array();
  for (const auto& part : parts) all.push_back(nlohmann::json::parse(part));
  all = nlohmann::json::parse(communicator.broadcast(all.dump(), 0, "cores of the ranks"));
  return share_of_cores(all.get<std::vector<std::vector<std::string>>>(), communicator.rank());
}

}  // namespace perfpipe
