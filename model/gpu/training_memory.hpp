// A training's memory and its traffic, on whatever device: a template over what allocates, copies and runs kernels.
#pragma once

#include "model/gpu/training_table.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace perfpipe::gpu {

/// Validation samples at once.
inline constexpr int validation_chunk = 256;

/// `Device` has allocate<T>(count) of zeroed memory, upload(to, from, count), download(to, from, count), run(step,
/// networks, most, times) which runs all kernels of a step and waits, and begin(step, networks, most) and end(step,
/// networks, most) which start those before and after the ranks' shards meet. Memory stays the device's until it ends.
template <class Device>
class TrainingMemory {
 public:
  TrainingMemory(Device& device, const std::vector<NetworkSource>& sources, const BatchShare& share)
      : device_(device), share_(share) {
    for (const auto& source : sources) {
      rows_ = std::max({rows_, source.batch, source.validation.samples > 0 ? validation_chunk : 0});
      patients_ = std::max({patients_, source.training.patients, source.validation.patients});
      shared_floats_ += share.shared ? static_cast<std::size_t>(batch_shards * sum_layout_of(source).floats) : 0;
    }
    if (share.shared) shared_ = room(shared_floats_);
    float* shards = shared_;
    for (const auto& source : sources) {
      add(source, shards);
      if (shards != nullptr) shards += batch_shards * sum_layout_of(source).floats;
    }
    on_device_ = device_.template allocate<NetworkView>(views_.size());
    device_.upload(on_device_, views_.data(), views_.size());
  }

  void begin_epoch(int network, const EpochSource& epoch) {
    const auto& view = views_[static_cast<std::size_t>(network)];
    const auto send = [&](auto* to, const auto& from) {
      device_.upload(const_cast<Mutable<decltype(to)>>(to), from.data(), from.size());
    };
    send(view.epoch.order, epoch.order);
    send(view.epoch.rates, epoch.rates);
    EpochView here = view.epoch;
    const auto if_any = [&](auto*& to, const auto& from) {
      if (from.empty())
        to = nullptr;
      else
        send(to, from);
    };
    if_any(here.symmetries, epoch.symmetries);
    if_any(here.gains, epoch.gains);
    if_any(here.shifts, epoch.shifts);
    device_.upload(&on_device_[network].epoch, &here, 1);
    device_.upload(view.progress, &epoch.start, 1);
  }

  void run(int steps) { device_.run(step(), networks(), rows_, steps); }
  void begin_step() { device_.begin(step(), networks(), rows_); }
  void end_step() { device_.end(step(), networks(), rows_); }

  std::int64_t* shared() const { return reinterpret_cast<std::int64_t*>(shared_); }
  std::size_t shared_count() const { return shared_floats_ * sizeof(float) / sizeof(std::int64_t); }

  /// Where the device can: the time of each kernel.
  template <class Seconds>
  void measure(int steps, Seconds& seconds) {
    device_.measure(step(), networks(), rows_, steps, seconds);
  }

  void validate(const std::vector<int>& which) {
    int most = 0;
    for (const int network : which) {
      const auto& view = views_[static_cast<std::size_t>(network)];
      Progress p{};
      device_.download(&p, view.progress, 1);
      p.validated = 0;
      p.to_validate = view.validation.samples;
      p.validation_loss = 0.0;
      most = std::max(most, view.validation.samples);
      device_.upload(view.progress, &p, 1);
    }
    Step validating = step();
    validating.validating = true;
    device_.run(validating, networks(), validation_chunk, (most + validation_chunk - 1) / validation_chunk);
  }

  void read_progress(Progress* to) {
    for (const auto& view : views_) device_.download(to++, view.progress, 1);
  }

  void read(int network, const NetworkTarget& to) {
    const auto& view = views_[static_cast<std::size_t>(network)];
    const auto take = [&](float* target, const float* from) {
      if (target != nullptr) device_.download(target, from, view.layout.size);
    };
    take(to.weights, view.weights);
    take(to.gradient, view.gradient);
    take(to.velocity, view.velocity);
    take(to.square, view.square);
  }

  int networks() const { return static_cast<int>(views_.size()); }

 private:
  Step step() const {
    return {on_device_, false, validation_chunk, share_.first_shard(), share_.end_shard(), true, true};
  }
  static SumLayout sum_layout_of(const NetworkSource& source) {
    return SumLayout(TrainingLayout(source.pooled), source.pooled, source.training.patients);
  }

  template <class Pointer>
  using Mutable = std::remove_const_t<std::remove_pointer_t<Pointer>>*;

  template <class T>
  T* copy_of(const T* from, std::size_t count) {
    T* const to = device_.template allocate<T>(count);
    device_.upload(to, from, count);
    return to;
  }

  /// Folds share their patients' curves where the caller does.
  const float* curves_of(const SampleSetSource& set) {
    auto& known = curves_[{set.curves, set.curve_count}];
    if (known == nullptr) known = copy_of(set.curves, set.curve_count * curve_floats);
    return known;
  }

  SampleSetView copy_of(const SampleSetSource& set) {
    const auto samples = static_cast<std::size_t>(set.samples), patients = static_cast<std::size_t>(set.patients);
    if (samples == 0) return {};
    return {curves_of(set),
            copy_of(set.neighbours, samples * patch_curves),
            copy_of(set.patient, samples),
            copy_of(set.targets, samples),
            copy_of(set.aifs, patients * curve_floats),
            copy_of(set.factors, patients),
            set.samples,
            set.patients};
  }

  template <class T = float>
  T* room(std::size_t count) {
    return device_.template allocate<T>(count);
  }

  void add(const NetworkSource& source, float* shards) {
    NetworkView view{};
    view.layout = TrainingLayout(source.pooled);
    view.sum_layout = sum_layout_of(source);
    view.pooled = source.pooled;
    view.adam = source.adam;
    view.batch = source.batch;
    view.tissue_gain = source.tissue_gain;
    view.target_mean = source.target_mean;
    view.target_scale = source.target_scale;
    view.saturation = source.saturation;
    view.keep = source.keep;
    view.take = source.take;
    view.keep_square = source.keep_square;
    view.take_square = source.take_square;
    const std::size_t size = view.layout.size;
    const auto start = [&](const float* from) {
      float* const to = room(size);
      if (from != nullptr) device_.upload(to, from, size);
      return to;
    };
    view.weights = start(source.weights);
    view.sums = room(static_cast<std::size_t>(view.sum_layout.gradient) + size);
    view.gradient = view.sums + view.sum_layout.gradient;
    view.shards = shards;
    view.velocity = start(source.velocity);
    view.square = source.adam ? start(source.square) : nullptr;
    view.training = copy_of(source.training);
    view.validation = copy_of(source.validation);
    const auto samples = static_cast<std::size_t>(source.training.samples),
               steps = (samples + static_cast<std::size_t>(source.batch) - 1) / static_cast<std::size_t>(source.batch);
    view.epoch = {room<int>(samples), room<unsigned char>(samples), room(samples),
                  room<signed char>(steps * static_cast<std::size_t>(source.training.patients)), room(2 * steps)};
    view.at = activations(view);
    view.progress = room<Progress>(1);
    views_.push_back(view);
  }

  Activations activations(const NetworkView& view) {
    const auto rows = static_cast<std::size_t>(rows_), patients = static_cast<std::size_t>(patients_),
               curves = rows * patch_curves;
    Activations at{};
    at.curves = room(curves * curve_floats);
    for (auto** one : {&at.l3, &at.d_l3}) *one = room(curves * feature_floats);
    at.winner = view.pooled ? room<int>(curves * feature_floats) : nullptr;
    for (auto** one : {&at.l4, &at.l6, &at.l7, &at.d_l4, &at.d_l6, &at.d_l7}) *one = room(rows * chain_floats);
    at.d_estimates = room(rows);
    at.squared_errors = room<double>(rows);
    at.aif_curves = room(patients * curve_floats);
    for (auto** one : {&at.aif_l3, &at.aif_d_l3, &at.aif_l4, &at.aif_d_l4}) *one = room(patients * feature_floats);
    at.aif_winner = view.pooled ? room<int>(patients * feature_floats) : nullptr;
    at.part = room(patients * chain_floats);
    at.d_part = view.sums + view.sum_layout.d_part;
    at.filter_parts[0] = view.sums + view.sum_layout.filter_parts;
    at.filter_parts[1] = room(static_cast<std::size_t>(l2_positions * filter_part_floats));
    at.squared_norms = room<double>(static_cast<std::size_t>(update_blocks(static_cast<int>(view.layout.size))));
    return at;
  }

  Device& device_;
  BatchShare share_;
  int rows_ = 1, patients_ = 1;
  float* shared_ = nullptr;
  std::size_t shared_floats_ = 0;
  std::vector<NetworkView> views_;
  NetworkView* on_device_ = nullptr;
  std::map<std::pair<const float*, std::size_t>, const float*> curves_;
};

}  // namespace perfpipe::gpu
