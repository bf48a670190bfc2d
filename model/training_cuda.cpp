#include "model/training_cuda.hpp"

#include "core/cuda_library.hpp"
#include "core/error.hpp"
#include "core/parallel.hpp"
#include "model/gradient_sum.hpp"
#include "model/training_member.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <utility>

namespace perfpipe {
namespace {

static_assert(gpu::batch_shards == gradient_shards, "shards of a mini-batch");

/// Between two looks at whether the job is to stop: a tenth of a second.
constexpr int usual_steps_at_once = 256;
/// Between two waits for the other ranks. A GPU that waits for a rank which is no more takes some thousand launches;
/// then CUDA waits, and knows no time limit.
constexpr int shared_steps_at_once = 32;

class Together {
 public:
  Together(std::vector<TrainingJob> jobs, const TrainingPlace& place, const gpu::TrainingCudaTable& table,
           int steps_at_once)
      : table_(table),
        device_(place.device),
        steps_at_once_(steps_at_once),
        gpus_(place.gpus),
        outcomes_(jobs.size()),
        members_(jobs.size()) {
    if (gpus_ != nullptr) {
      steps_at_once_ = std::min(steps_at_once_, shared_steps_at_once);
      ranks_ = jobs.front().hooks.group;
      if (ranks_ == nullptr || ranks_->size() != gpus_->size() || gpus_->size() > gpu::batch_shards)
        throw std::invalid_argument("training: the group's GPUs are not those of its ranks, at most one for a shard");
    }
    parallel_blocks(jobs.size(), 1, place.threads, [&](std::size_t i, std::size_t) {
      check_training(*jobs[i].recipe, *jobs[i].training, *jobs[i].validation);
      try {
        members_[i] = std::make_unique<TrainingMember>(std::move(jobs[i]));
      } catch (const InputError&) {  // an AIF that cannot be scaled
        outcomes_[i].failure = std::current_exception();
      }
    });
    std::vector<gpu::NetworkSource> sources;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (members_[i] == nullptr || members_[i]->books().done()) continue;
      sources.push_back(members_[i]->source());
      places_.push_back(i);
    }
    gpu::BatchShare share;
    if (gpus_ != nullptr) share = {gpus_->rank(), gpus_->size(), true};
    if (!sources.empty()) check(table_.create(device_, sources, share, session_));
  }
  ~Together() {
    // Where another rank has failed, the GPU may wait for it for ever: the job is about to end.
    if (session_ != nullptr && (gpus_ == nullptr || std::uncaught_exceptions() == 0)) table_.destroy(session_);
  }
  Together(const Together&) = delete;
  Together& operator=(const Together&) = delete;

  std::vector<TrainingOutcome> run() {
    active_.assign(places_.size(), true);
    std::vector<gpu::Progress> progress(places_.size());
    for (std::size_t n = 0; n < places_.size(); ++n) begin(n);
    while (std::count(active_.begin(), active_.end(), true) > 0) {
      std::int64_t steps = steps_at_once_;
      bool stopped = false;
      for (std::size_t n = 0; n < places_.size(); ++n) {
        if (!active_[n]) continue;
        auto& member = at(n);
        stopped = stopped || (member.hooks().stop && member.hooks().stop());
        steps = std::min(
            steps, static_cast<std::int64_t>(member.books().steps_of_epoch()) - member.books().state().steps_of_epoch);
      }
      if (agreed(stopped)) break;
      run(static_cast<int>(steps));
      check(table_.read_progress(*session_, progress.data()));
      std::vector<int> ended;
      for (std::size_t n = 0; n < places_.size(); ++n) {
        if (!active_[n]) continue;
        guarded(n, [&] {
          if (!at(n).follow(progress[n])) ended.push_back(static_cast<int>(n));
        });
      }
      end_epochs(ended, progress);
    }
    for (std::size_t n = 0; n < places_.size(); ++n)
      if (active_[n]) {
        outcomes_[places_[n]].result.stopped = true;
        read_state(n);
      }
    return close();
  }

 private:
  TrainingMember& at(std::size_t n) { return *members_[places_[n]]; }

  void check(const std::string& problem) const {
    if (!problem.empty()) throw DeviceError("GPU " + std::to_string(device_) + ", training: " + problem);
  }

  /// Whether some rank is to stop: then all do, at the same step.
  bool agreed(bool stopped) const {
    if (ranks_ == nullptr) return stopped;
    std::array<double, 1> most{stopped ? 1.0 : 0.0};
    ranks_->allreduce_max(most, "whether to stop");
    return most[0] > 0.0;
  }

  void run(int steps) {
    if (gpus_ == nullptr) return check(table_.run(*session_, steps));
    const auto sums = table_.shared_sums(*session_);
    const std::string what = "gradients of " + at(0).recipe().stream;
    for (int i = 0; i < steps; ++i) {
      check(table_.begin_step(*session_));
      gpus_->allreduce_sum(sums.values, sums.count, sums.stream, what);
      check(table_.end_step(*session_));
    }
    gpus_->wait(sums.stream, what);
  }

  void begin(std::size_t n) { check(table_.begin_epoch(*session_, static_cast<int>(n), at(n).epoch())); }

  /// A network that fails leaves the others alone.
  template <class Work>
  void guarded(std::size_t n, const Work& work) {
    try {
      work();
    } catch (const TaskFailure&) {
      outcomes_[places_[n]].failure = std::current_exception();
      active_[n] = false;
      gpu::EpochSource nothing;
      nothing.start.bad_step = -1;
      check(table_.begin_epoch(*session_, static_cast<int>(n), nothing));
    }
  }

  void end_epochs(const std::vector<int>& ended, std::vector<gpu::Progress>& progress) {
    if (ended.empty()) return;
    std::vector<int> with_validation;
    for (const int n : ended)
      if (at(static_cast<std::size_t>(n)).has_validation()) with_validation.push_back(n);
    if (!with_validation.empty()) {
      check(table_.validate(*session_, with_validation));
      check(table_.read_progress(*session_, progress.data()));
    }
    for (const int one : ended) {
      const auto n = static_cast<std::size_t>(one);
      auto& books = at(n).books();
      read_state(n);
      guarded(n, [&] {
        const double loss = at(n).has_validation()
                                ? progress[n].validation_loss / static_cast<double>(progress[n].to_validate)
                                : std::numeric_limits<double>::quiet_NaN();
        books.end_epoch(loss, books.state().weights);
        if (at(n).hooks().on_epoch) at(n).hooks().on_epoch(books.state().epochs.back(), books.complete_state());
        if (books.done())
          active_[n] = false;
        else
          begin(n);
      });
    }
  }

  /// Weights and the optimiser's memory as they are on the GPU.
  void read_state(std::size_t n) {
    auto& state = at(n).books().state();
    const bool adam = at(n).recipe().optimiser == OptimiserKind::adam;
    const std::size_t size = state.weights.size();
    state.optimiser.velocity.resize(state.optimiser.steps > 0 ? size : 0);
    state.optimiser.square.resize(adam && state.optimiser.steps > 0 ? size : 0);
    const auto memory = [](std::vector<float>& v) { return v.empty() ? nullptr : v.data(); };
    check(
        table_.read(*session_, static_cast<int>(n),
                    {state.weights.data(), nullptr, memory(state.optimiser.velocity), memory(state.optimiser.square)}));
  }

  std::vector<TrainingOutcome> close() {
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (members_[i] == nullptr || outcomes_[i].failure != nullptr) continue;
      auto& books = members_[i]->books();
      auto& result = outcomes_[i].result;
      result.state = books.complete_state();
      result.epochs = result.state.epochs;
      result.epoch_of_weights = result.state.epoch_of_weights;
      result.tensors = books.folded_tensors();
    }
    return std::move(outcomes_);
  }

  const gpu::TrainingCudaTable& table_;
  int device_, steps_at_once_;
  DeviceCommunicator* gpus_;                              ///< null: this rank alone
  Communicator* ranks_ = nullptr;                         ///< the same ranks
  std::vector<TrainingOutcome> outcomes_;                 ///< of all jobs
  std::vector<std::unique_ptr<TrainingMember>> members_;  ///< of all jobs; null where one could not begin
  std::vector<std::size_t> places_;                       ///< which jobs are on the GPU
  std::vector<bool> active_;
  gpu::TrainingSession* session_ = nullptr;
};

}  // namespace

std::vector<TrainingOutcome> train_together(std::vector<TrainingJob> jobs, const TrainingPlace& place,
                                            const gpu::TrainingCudaTable& table, int steps_at_once) {
  return Together(std::move(jobs), place, table, steps_at_once).run();
}

std::vector<TrainingOutcome> train_together(std::vector<TrainingJob> jobs, const TrainingPlace& place) {
  return train_together(std::move(jobs), place, cuda_table<gpu::TrainingCudaTable>(), usual_steps_at_once);
}

}  // namespace perfpipe
