// inference: maps by the networks, in a cross-validation each patient's by those that never saw that patient.
#include "core/shared_slabs.hpp"
#include "model/bicnn.hpp"
#include "model/dense_cuda.hpp"
#include "model/dense_inference.hpp"
#include "stages/input_ranges.hpp"
#include "stages/maps.hpp"
#include "stages/network_files.hpp"
#include "stages/reference_maps.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

namespace perfpipe {
namespace {

struct InferenceOptions {
  std::string weights;
  std::string engine = "dense";
  std::string precision = "exact";
};

/// A network that was read, and what makes its map of a slab.
struct Estimator {
  WeightFacts facts;
  std::function<std::vector<float>(const CurveSlab&)> estimate;
};

/// All networks on a GPU: a slab goes there once, and every network's map comes back.
class MapsByGpu {
 public:
  MapsByGpu(std::vector<DenseParameters> networks, bool fast, int device, int threads)
      : networks_(std::move(networks), fast ? gpu::Arithmetic::tf32 : gpu::Arithmetic::exact, device),
        threads_(threads) {}
  void compute(const CurveSlab& slab) { maps_ = networks_.estimate(slab, threads_); }
  std::vector<float> take(std::size_t network) { return std::move(maps_[network]); }

 private:
  CudaDenseNetworks networks_;
  int threads_;
  std::vector<std::vector<float>> maps_;
};

/// Mean and standard deviation over networks, voxel by voxel, network after network (Welford's update).
class MeanAndSpread {
 public:
  void add(const std::vector<float>& map) {
    mean_.resize(map.size(), 0.0);
    squares_.resize(map.size(), 0.0);
    ++count_;
    for (std::size_t v = 0; v < map.size(); ++v) {
      const double before = static_cast<double>(map[v]) - mean_[v];
      mean_[v] += before / count_;
      squares_[v] += before * (static_cast<double>(map[v]) - mean_[v]);
    }
  }
  std::vector<float> mean() const { return {mean_.begin(), mean_.end()}; }
  /// The standard deviation of a sample (n - 1); 0 of one network.
  std::vector<float> spread() const {
    std::vector<float> spread(squares_.size());
    for (std::size_t v = 0; v < spread.size(); ++v)
      spread[v] = static_cast<float>(std::sqrt(squares_[v] / std::max(1.0, count_ - 1.0)));
    return spread;
  }

 private:
  double count_ = 0.0;
  std::vector<double> mean_, squares_;
};

class Inference final : public StageWith<InferenceOptions> {
 public:
  using StageWith::StageWith;

  static StageType describe() {
    StageType type;
    type.name = "inference";
    type.scope = Scope::patient;
    type.version = 2;
    type.summary =
        "Estimates maps by the trained networks; in a cross-validation those whose training left this patient out. "
        "With several networks for a parameter: their mean, and their spread (standard deviation).";
    type.reference = "Ho et al., ICPR 2016, section IV";
    return type;
  }
  static OptionTable<InferenceOptions> table() {
    OptionTable<InferenceOptions> t;
    t.text("weights", &InferenceOptions::weights,
           "folder with cbf.safetensors, cbv..., mtt..., tmax... (those that are there are used), or the output folder "
           "of a cross-validation: all its folds' networks together; empty: the networks trained in this job");
    t.choice("engine", &InferenceOptions::engine, {"dense", "reference"},
             "dense: features once for each voxel; reference: patch by patch as in training, some nine times slower, "
             "equal up to rounding");
    t.choice(
        "precision", &InferenceOptions::precision, {"exact", "fast"},
        "fast: within a thousandth of the map's range; the dense engine multiplies numbers of 16 bits where the "
        "processor of every rank has AMX, some 1.5 times faster, and of 19 bits on a GPU's tensor cores; elsewhere "
        "as exact. Each has bits of its own: results of one are not reused as another's");
    return t;
  }

  Ports ports() const override {
    Ports ports{{{tissue_curves_spec(curve_samples)}, {aif_spec(curve_samples)}, {brain_mask_spec()}}, map_specs()};
    if (options_.weights.empty()) {
      ports.reads.push_back({network_spec()});
      return ports;
    }
    for (const auto& [parameter, files] : network_files(options_.weights))
      if (files.size() > 1) ports.writes.push_back(spread_spec(parameter));
    return ports;
  }
  std::vector<std::filesystem::path> files(const TaskInfo&, const Cohort&) const override {
    std::vector<std::filesystem::path> all;
    if (options_.weights.empty()) return all;
    for (const auto& [parameter, files] : network_files(options_.weights))
      all.insert(all.end(), files.begin(), files.end());
    return all;
  }
  void check(const Cohort&, Findings& findings) const override {
    if (options_.weights.empty()) return;
    const auto networks = network_files(options_.weights);
    if (networks.empty())
      findings.add(options_.weights,
                   "inference.weights: no cbf.safetensors, cbv.safetensors, mtt.safetensors or tmax.safetensors in "
                   "this folder, nor in folders without-SUBJECT in it or in its weights/; name a folder with trained "
                   "weights, or the output of a cross-validation");
    for (const auto& [parameter, files] : networks)
      for (const auto& file : files) {
        try {
          check_weights(read_safetensors(file), parameter, file.string());
        } catch (const Error& error) {
          findings.add("inference.weights", error.what());
        }
      }
  }
  bool accepts_failed_inputs() const override { return true; }
  DeviceUse device_use() const override {
    if (options_.engine != "dense") return DeviceUse::none;
    return options_.precision == "fast" ? DeviceUse::own_bits : DeviceUse::same_bits;
  }
  bool wants_fast_arithmetic() const override { return options_.engine == "dense" && options_.precision == "fast"; }
  double cost(const TaskInfo&) const override { return options_.engine == "dense" ? 1.0 : 9.0; }
  int max_ranks(const TaskInfo&) const override { return 8; }  // where there are fewer patients than ranks

  void run(StageContext& context) const override {
    for (const char* port : {"tissue_curves", "aif", "brain_mask"})
      if (context.store().inputs(port).empty())
        throw TaskFailure(fmt::format("{} of this patient failed, so there is nothing to estimate from", port));
    const auto tissue = context.store().open("tissue_curves");
    const auto brain = context.store().open("brain_mask");
    const auto aif = context.store().open("aif").read<float>("aif");
    const auto dims = tissue.dims("tissue_curves");
    const std::int64_t nz = dims[0], ny = dims[1], nx = dims[2];
    std::vector<float> features;
    std::shared_ptr<MapsByGpu> on_gpu;  // null: on the CPU
    const auto estimators = make_estimators(context, aif, features, on_gpu);
    if (estimators.empty()) throw TaskFailure("no network is there for this patient: their trainings failed");
    auto& output = context.output();
    std::vector<SliceDataset> datasets;  // in the order in which a slab's maps stand behind each other
    for (const auto& [parameter, several] : estimators) {
      datasets.push_back({map_spec(parameter).name, static_cast<std::size_t>(ny * nx)});
      output.create(map_spec(parameter), {nz, ny, nx});
      if (several.size() == 1) continue;
      datasets.push_back({spread_spec(parameter).name, static_cast<std::size_t>(ny * nx)});
      output.create(spread_spec(parameter), {nz, ny, nx});
    }
    const std::int64_t maps_bytes = ny * nx * 6 * static_cast<std::int64_t>(sizeof(float));
    const std::int64_t step = context.slab_slices(ny * nx * curve_samples * static_cast<std::int64_t>(sizeof(float)) +
                                                  dense_bytes(ny, nx) + maps_bytes);
    std::int64_t curves_inside = 0;
    std::map<Parameter, std::int64_t> beyond;  // curves of a size that the networks never saw
    for (const auto& [parameter, several] : estimators) beyond[parameter] = 0;
    const auto read = [&](std::int64_t z, std::int64_t count) {
      return std::pair(tissue.read_slices("tissue_curves", z, count),
                       brain.read_slab<std::uint8_t>("brain_mask", z, count));
    };
    const auto compute = [&](std::int64_t z, std::int64_t, const auto& was_read) {
      const auto& [curves, inside] = was_read;
      const CurveSlab slab{curves, inside, ny, nx, z};
      const auto peaks = relative_peaks(curves, inside, aif);
      curves_inside += static_cast<std::int64_t>(peaks.size());
      std::vector<float> maps;
      const auto append = [&](const std::vector<float>& map) { maps.insert(maps.end(), map.begin(), map.end()); };
      if (on_gpu) on_gpu->compute(slab);
      for (const auto& [parameter, several] : estimators) {
        if (context.stop_requested()) throw Stopped();
        beyond[parameter] += peaks_beyond(ranges_of(several), peaks);
        if (several.size() == 1) {
          append(several.front().estimate(slab));
          continue;
        }
        MeanAndSpread ensemble;
        for (const auto& estimator : several) ensemble.add(estimator.estimate(slab));
        append(ensemble.mean());
        append(ensemble.spread());
      }
      return maps;
    };
    for_each_shared_slab(context, nz, step, read, compute,
                         [&](std::int64_t z, std::int64_t count, std::span<const float> maps) {
                           write_slices(output, datasets, z, count, maps);
                         });
    sum_over_group(context, {&curves_inside, 1});
    for (auto& [parameter, count] : beyond) sum_over_group(context, {&count, 1});
    if (!context.is_first_of_group()) return;
    const auto acquired = acquisition_of(tissue.metadata());
    for (const auto& [parameter, several] : estimators) {
      const double share =
          static_cast<double>(beyond[parameter]) / static_cast<double>(std::max<std::int64_t>(1, curves_inside));
      for (const auto& finding : never_seen(ranges_of(several), acquired, share))
        context.warn(fmt::format("{} by network: {}; the map may be wrong", facts(parameter).label, finding));
    }
    const std::string label = context.task().stage == "inference" ? "cnn" : context.task().stage;
    auto networks = networks_of(estimators);
    if (options_.precision == "fast")
      for (auto& [parameter, network] : networks.items()) network["precision"] = "fast";
    output.set_metadata({{label_key, label}, {"settings", {{"networks", networks}}}, {"warnings", context.warnings()}});
  }

 private:
  using Estimators = std::map<Parameter, std::vector<Estimator>>;

  Estimators make_estimators(StageContext& context, const std::vector<float>& aif, std::vector<float>& features,
                             std::shared_ptr<MapsByGpu>& on_gpu) const {
    Estimators estimators;
    const auto& device = context.job().device;
    const bool by_gpu = device.cuda && options_.engine == "dense";
    const auto* const kernel = kernel_of(device);
    if (wants_fast_arithmetic() && !by_gpu && kernel != fast_dense_kernel())
      context.log().info(context.task().id() + ": not all processors of this job have AMX: precision is exact");
    const int threads = context.job().threads;
    std::vector<DenseParameters> for_gpu;
    const auto place = std::make_shared<std::shared_ptr<MapsByGpu>>();  // filled when all networks are known
    const auto add = [&](Parameter parameter, const WeightFile& weights, const std::string& source) {
      if (options_.engine == "reference") {
        auto engine = std::make_shared<ReferenceEngine>(weights, source);
        estimators[parameter].push_back({engine->facts(), [engine, &aif, threads](const CurveSlab& slab) {
                                           return reference_maps(*engine, slab, aif, threads);
                                         }});
      } else if (by_gpu) {
        for_gpu.emplace_back(weights, source, aif);
        estimators[parameter].push_back(
            {for_gpu.back().facts(), [place, i = for_gpu.size() - 1](const CurveSlab&) { return (*place)->take(i); }});
      } else {
        auto engine = std::make_shared<DenseNetwork>(weights, source, aif, *kernel);
        estimators[parameter].push_back({engine->facts(), [engine, &features, threads](const CurveSlab& slab) {
                                           return engine->estimate(slab, threads, features);
                                         }});
      }
    };
    read_networks(context, add);
    if (!for_gpu.empty())
      *place = on_gpu = std::make_shared<MapsByGpu>(std::move(for_gpu), wants_fast_arithmetic(), device.index, threads);
    return estimators;
  }

  const DenseKernel* kernel_of(const Device& device) const {
    const auto* const fast = fast_dense_kernel();
    const bool is_meant = wants_fast_arithmetic() && fast != nullptr && device.fast_arithmetic == fast->name;
    return is_meant ? fast : dense_kernels().front();
  }

  /// Calls add(parameter, weights, where they are from) for each network.
  template <class Add>
  void read_networks(StageContext& context, const Add& add) const {
    if (!options_.weights.empty()) {
      for (const auto& [parameter, files] : network_files(options_.weights))
        for (const auto& file : files) add(parameter, read_safetensors(file), file.string());
      return;
    }
    for (const auto& input : context.store().inputs("network")) {
      const auto raw = context.store().open(input).read<std::uint8_t>("network");
      add(input.task.parameter,
          parse_safetensors({reinterpret_cast<const char*>(raw.data()), raw.size()}, input.file.string()),
          input.file.string());
    }
  }

  static InputRanges ranges_of(const std::vector<Estimator>& several) {
    std::vector<InputRanges> ranges;
    for (const auto& estimator : several) ranges.push_back(estimator.facts.input_ranges);
    return united(ranges);
  }

  /// For sidecars and the report: what each parameter's networks say of themselves, and how many there are.
  static nlohmann::json networks_of(const Estimators& estimators) {
    nlohmann::json networks = nlohmann::json::object();
    for (const auto& [parameter, several] : estimators) {
      std::vector<std::string> subjects;
      for (const auto& estimator : several)
        for (const auto& subject : estimator.facts.training_cohort)
          if (std::find(subjects.begin(), subjects.end(), subject) == subjects.end()) subjects.push_back(subject);
      const auto& facts = several.front().facts;
      auto& entry = networks[std::string(name(parameter))];
      entry = {{"recipe", facts.recipe}, {"input_scale", facts.input_scale}, {"training_cohort", subjects}};
      if (several.size() > 1) entry["networks"] = several.size();
    }
    return networks;
  }
};

}  // namespace

PERFPIPE_REGISTER_STAGE(inference, Inference)

}  // namespace perfpipe
