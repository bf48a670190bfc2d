#include "stages/phantom_anatomy.hpp"

#include "core/random.hpp"
#include "stages/phantom_ct.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace perfpipe {
namespace {

double clamp01(double x) { return std::clamp(x, 0.0, 1.0); }

/// 0 below `low`, 1 above `high`, with a continuous slope between.
double smooth_step(double low, double high, double x) {
  const double u = clamp01((x - low) / (high - low));
  return u * u * (3.0 - 2.0 * u);
}

double between(const std::array<double, 3>& states, double severity) {
  const double s = std::clamp(severity, 0.0, 2.0);
  const std::size_t i = s < 1.0 ? 0 : 1;
  return states[i] + (s - static_cast<double>(i)) * (states[i + 1] - states[i]);
}

double geometric_between(const std::array<double, 3>& states, double severity) {
  return std::exp(between({std::log(states[0]), std::log(states[1]), std::log(states[2])}, severity));
}

/// The voxel grid of one head.
struct Grid {
  std::int64_t nx, ny, nz;
  double in_plane, thickness;  // mm

  explicit Grid(const PhantomOptions& o)
      : nx(o.size[0]),
        ny(o.size[1]),
        nz(o.size[2]),
        in_plane(o.field_of_view / static_cast<double>(o.size[0])),
        thickness(o.slice_thickness) {}
  std::size_t voxels() const { return static_cast<std::size_t>(nx * ny * nz); }
  std::size_t at(std::int64_t x, std::int64_t y, std::int64_t z) const {
    return static_cast<std::size_t>((z * ny + y) * nx + x);
  }
  // Head coordinates: -1 to 1 across the image; the slices cover the middle 1.3 of 2 whatever their number.
  double u(std::int64_t x) const { return (2.0 * static_cast<double>(x) + 1.0) / static_cast<double>(nx) - 1.0; }
  double v(std::int64_t y) const { return (2.0 * static_cast<double>(y) + 1.0) / static_cast<double>(ny) - 1.0; }
  double w(std::int64_t z) const {
    return nz == 1 ? 0.0 : 1.3 * (static_cast<double>(z) / static_cast<double>(nz - 1) - 0.5);
  }
};

/// Gaussian random field of mean 0, SD 1 and correlation length `length` mm: a sum of cosines with random directions.
std::vector<float> smooth_field(const Grid& grid, double length, Random random) {
  constexpr int waves = 32;
  std::vector<float> field(grid.voxels(), 0.0f);
  const double amplitude = std::sqrt(2.0 / waves);
  for (int k = 0; k < waves; ++k) {
    const double fx = random.normal() / length * grid.in_plane;
    const double fy = random.normal() / length * grid.in_plane;
    const double fz = random.normal() / length * grid.thickness;
    const double phase = random.uniform(0.0, 2.0 * std::numbers::pi);
    const double turn_c = std::cos(fx);
    const double turn_s = std::sin(fx);
    for (std::int64_t z = 0; z < grid.nz; ++z)
      for (std::int64_t y = 0; y < grid.ny; ++y) {
        // Along a row each cosine is the last one turned by a fixed angle: no call per voxel.
        const double start = phase + fy * static_cast<double>(y) + fz * static_cast<double>(z);
        double c = amplitude * std::cos(start);
        double s = amplitude * std::sin(start);
        float* row = &field[grid.at(0, y, z)];
        for (std::int64_t x = 0; x < grid.nx; ++x) {
          row[x] += static_cast<float>(c);
          const double turned = c * turn_c - s * turn_s;
          s = s * turn_c + c * turn_s;
          c = turned;
        }
      }
  }
  return field;
}

/// The field's value as a quantile in (0, 1): uniform marginals.
double quantile(float field) { return 0.5 * std::erfc(-static_cast<double>(field) / std::numbers::sqrt2); }
double symmetric(float field) { return 2.0 * quantile(field) - 1.0; }

/// One patient's lesion: an irregular ellipsoid in one hemisphere.
struct Lesion {
  double side, y, z, radius, core, penumbra_depth, core_depth, delay;
  Lesion(const PhantomOptions& o, Random random)
      : side(random.uniform() < 0.5 ? -1.0 : 1.0),
        y(random.uniform(-0.25, 0.25)),
        z(random.uniform(-0.25, 0.25)),
        radius(random.uniform(0.34, 0.50)),
        core(random.uniform(0.45, 0.75)),
        penumbra_depth(random.uniform(0.75, 1.0)),
        core_depth(random.uniform(0.5, 1.0)),
        delay(std::min(o.delay_high, random.uniform(4.0, 9.0))) {}

  /// 0 outside, about 1 in the penumbra, up to 2 in the core, smooth in between.
  double severity(double u, double v, double w, float edge) const {
    const double distance = std::hypot(u - 0.46 * side, (v - y) / 1.25, (w - z) / 1.6) / radius + 0.12 * edge;
    const double own_side = smooth_step(0.01, 0.06, u * side);
    const double inside = penumbra_depth * smooth_step(-1.12, -0.88, -distance);
    const double deep = core_depth * smooth_step(-core - 0.12, -core + 0.12, -distance);
    return own_side * (inside + deep);
  }
};

/// Of the simulated arteries and of the sinus: wide enough that some voxels of 3.5 mm hold nothing but blood.
constexpr double vessel_radius_mm = 5.0;

struct VesselPath {
  Tissue tissue;
  double u, v, lean_u;  // position in the middle slice, in shares of the head's half-axes, and shift per unit of w
  bool upper;           // also in the upper half of the slices
};
constexpr VesselPath vessel_paths[] = {
    {Tissue::artery, -0.50, -0.14, -0.10, false}, {Tissue::artery, 0.50, -0.14, 0.10, false},  // middle cerebral
    {Tissue::artery, 0.00, -0.62, 0.00, true},                                                 // anterior cerebral
    {Tissue::artery, 0.00, 0.48, 0.00, false},                                                 // posterior
    {Tissue::vein, 0.00, 0.86, 0.00, true},                                                    // sagittal sinus
};

class HeadBuilder {
 public:
  HeadBuilder(const PhantomOptions& options, std::uint64_t seed, const std::string& patient)
      : options_(options),
        grid_(options),
        seed_(seed),
        prefix_("phantom/" + patient + "/"),
        lesion_(options, stream("lesion")),
        own_(stream("anatomy")),
        ct_(options.modality == "ct"),
        half_u_((ct_ ? ct_brain_share : 1.0) * own_.uniform(0.74, 0.82)),
        half_v_((ct_ ? ct_brain_share : 1.0) * own_.uniform(0.88, 0.95)),
        dispersion_ratio_(own_.uniform(0.0, options.dispersion_high)),
        // Two draws of smooth variation at two scales: fine for perfusion within a region, coarse for delay and coil.
        gyri_(smooth_field(grid_, 7.0, stream("gyri"))),
        flow_(smooth_field(grid_, 9.0, stream("flow"))),
        transit_(smooth_field(grid_, 9.0, stream("transit"))),
        delay_(smooth_field(grid_, 16.0, stream("delay"))),
        region_(smooth_field(grid_, 16.0, stream("residue"))),
        edge_(smooth_field(grid_, 12.0, stream("edge"))),
        coil_(smooth_field(grid_, 80.0, stream("coil"))) {}

  Head build() {
    head_.tissue.assign(grid_.voxels(), Tissue::air);
    head_.baseline.assign(grid_.voxels(), 0.0f);
    head_.kinetics.assign(grid_.voxels(), Kinetics{});
    head_.blood.assign(grid_.voxels(), 0.0f);
    head_.lesion.assign(grid_.voxels(), 0);
    for (std::int64_t z = 0; z < grid_.nz; ++z)
      for (std::int64_t y = 0; y < grid_.ny; ++y)
        for (std::int64_t x = 0; x < grid_.nx; ++x) fill(x, y, z);
    for (const auto& path : vessel_paths)
      for (std::int64_t z = 0; z < (path.upper ? grid_.nz : (grid_.nz + 1) / 2); ++z) draw_vessel(path, z);
    label_regions();
    return std::move(head_);
  }

 private:
  Random stream(const std::string& what) const { return Random(seed_, prefix_ + what); }
  /// Of MR under the coil's sensitivity, or of CT.
  float baseline(std::size_t i, double relative, double hu) const {
    return static_cast<float>(ct_ ? hu : relative * (1.0 + 0.08 * coil_[i]));
  }

  void fill(std::int64_t x, std::int64_t y, std::int64_t z) {
    const std::size_t i = grid_.at(x, y, z);
    // Slices above and below the middle show a smaller section of the head.
    const double w = grid_.w(z);
    const double section = std::sqrt(1.0 - 0.6 * w * w);
    const double u = grid_.u(x) / (half_u_ * section);
    const double v = grid_.v(y) / (half_v_ * section);
    const double radius = std::hypot(u, v);
    if (radius > 1.0) {
      if (ct_) head_.baseline[i] = static_cast<float>(ct_around_the_brain(radius, std::atan2(v, u), w, grid_.v(y)));
      return;
    }

    // Ventricles: a pair of slits beside the midline, in the middle slices.
    const double ventricle = std::hypot((std::abs(u) - 0.11) / 0.075, (v - 0.02) / 0.28, w / 0.42);
    if (ventricle < 1.0) {
      head_.tissue[i] = Tissue::csf;
      head_.baseline[i] = baseline(i, 1.5, ct_csf);
      return;
    }
    // Cortex: a folded outer shell; deep grey matter: a pair of nuclei.
    const double cortex = smooth_step(-0.05, 0.05, radius - 0.80 - 0.10 * gyri_[i]);
    const double nuclei = smooth_step(-0.1, 0.1, 1.0 - std::hypot((std::abs(u) - 0.30) / 0.13, v / 0.24, w / 0.5));
    const double grey = std::max(cortex, nuclei);
    const double severity = lesion_.severity(u, v, w, edge_[i]);
    head_.tissue[i] = grey >= 0.5 ? Tissue::grey : Tissue::white;
    head_.baseline[i] = baseline(i, 0.82 + 0.18 * grey, ct_white_matter + (ct_grey_matter - ct_white_matter) * grey);
    head_.lesion[i] = severity >= 1.25 ? 2 : severity >= 0.5 ? 1 : 0;
    head_.kinetics[i] = perfuse(i, class_perfusion(grey, severity), severity);
  }

  /// A label for each tissue, state and residue function that there can be.
  void label_regions() {
    constexpr std::array tissues{std::pair{Tissue::grey, "grey"}, std::pair{Tissue::white, "white"},
                                 std::pair{Tissue::perivascular, "perivascular"}};
    constexpr std::array states{"normal", "penumbra", "core"};
    head_.label.assign(grid_.voxels(), 0.0f);
    head_.labels.factors = {"tissue", "state", "residue"};
    int label = 0;
    for (const auto& [tissue, tissue_name] : tissues)
      for (std::size_t state = 0; state < (tissue == Tissue::perivascular ? 1 : states.size()); ++state)
        for (int r = 0; r < 4; ++r) {
          const auto residue = static_cast<Residue>(r);
          head_.labels.levels[++label] = {tissue_name, states[state], residue_name(residue)};
          for (std::size_t i = 0; i < head_.label.size(); ++i)
            if (head_.tissue[i] == tissue && head_.lesion[i] == state && head_.kinetics[i].residue == residue)
              head_.label[i] = static_cast<float>(label);
        }
  }

  /// Adds the patient's spread to the mean CBF and CBV of a voxel's class, and its delay, dispersion and residue
  /// function.
  Kinetics perfuse(std::size_t i, std::array<double, 2> mean, double severity) const {
    Kinetics k;
    if (options_.tissue == "broad") {
      // Uniform in the prior's range; the lesion's edge remains, as a step of flow in the proportion of the classes.
      const double drop = class_perfusion(1.0, severity)[0] / class_perfusion(1.0, 0.0)[0];
      k.mtt = 2.0 + 23.0 * quantile(transit_[i]);
      // CBV above 12 ml/100g is not tissue, and would hide the arteries.
      k.cbf = std::min(std::max(2.0, drop * (2.0 + 118.0 * quantile(flow_[i]))), 12.0 * 60.0 / k.mtt);
      k.delay = options_.delay_high * quantile(delay_[i]);
    } else {
      k.cbf = mean[0] * (1.0 + cbf_spread * symmetric(flow_[i]));
      k.mtt = 60.0 * mean[1] / mean[0] + between(mtt_spread, severity) * symmetric(transit_[i]);
      const double lesion_delay = lesion_.delay * (std::min(severity, 1.0) + 0.3 * std::max(severity - 1.0, 0.0));
      k.delay =
          std::min(options_.delay_high, 2.0 * quantile(delay_[i]) + lesion_delay * (1.0 + 0.15 * symmetric(edge_[i])));
    }
    k.residue = residue(i);
    // A dispersed box has its maximum at delay + MTT however small the dispersion: Tmax would be ill-posed.
    k.dispersion = k.residue == Residue::box ? 0.0 : dispersion_ratio_ * k.delay;
    return k;
  }

  Residue residue(std::size_t i) const {
    if (options_.residue == "exponential") return Residue::exponential;
    if (options_.residue == "linear") return Residue::linear;
    if (options_.residue == "box") return Residue::box;
    if (options_.residue == "gamma") return Residue::gamma;
    return static_cast<Residue>(std::min(3, static_cast<int>(4.0 * quantile(region_[i]))));
  }

  /// A disc of blood whose border voxels it fills in part, with a rim of well perfused tissue around it. Without
  /// partial volumes a map would have tissue and blood and nothing between, and so would the balanced training sets.
  void draw_vessel(const VesselPath& path, std::int64_t z) {
    const double w = grid_.w(z);
    const double section = std::sqrt(1.0 - 0.6 * w * w);
    const auto place = [](double share, std::int64_t n) { return 0.5 * (share + 1.0) * static_cast<double>(n) - 0.5; };
    const double cx = place((path.u + path.lean_u * w) * half_u_ * section, grid_.nx);
    const double cy = place(path.v * half_v_ * section, grid_.ny);
    const double radius = vessel_radius_mm * static_cast<double>(grid_.nx) / options_.field_of_view;
    const auto reach = static_cast<std::int64_t>(std::ceil(radius + 1.5));
    const auto row = static_cast<std::int64_t>(std::lround(cy)), column = static_cast<std::int64_t>(std::lround(cx));
    for (std::int64_t y = std::max<std::int64_t>(0, row - reach); y <= std::min(grid_.ny - 1, row + reach); ++y)
      for (std::int64_t x = std::max<std::int64_t>(0, column - reach); x <= std::min(grid_.nx - 1, column + reach);
           ++x) {
        const std::size_t i = grid_.at(x, y, z);
        const double distance = std::hypot(static_cast<double>(x) - cx, static_cast<double>(y) - cy);
        if (head_.tissue[i] == Tissue::air || distance > radius + 1.5) continue;
        const double blood = std::clamp(radius - distance + 0.5, 0.0, 1.0);
        head_.lesion[i] = 0;
        head_.tissue[i] = blood > 0.0 ? path.tissue : Tissue::perivascular;
        head_.baseline[i] = baseline(i, 1.0 + 0.2 * blood, ct_grey_matter + (ct_blood - ct_grey_matter) * blood);
        head_.blood[i] = static_cast<float>(blood);
        head_.kinetics[i] = perfuse(i, {perivascular_cbf, perivascular_cbv}, 0.0);
      }
  }

  const PhantomOptions& options_;
  Grid grid_;
  std::uint64_t seed_;
  std::string prefix_;
  Lesion lesion_;
  Random own_;
  bool ct_;
  double half_u_, half_v_, dispersion_ratio_;
  std::vector<float> gyri_, flow_, transit_, delay_, region_, edge_, coil_;
  Head head_;
};

}  // namespace

std::array<double, 2> class_perfusion(double grey, double severity) {
  const double cbf = grey * geometric_between(grey_matter.cbf, severity) +
                     (1.0 - grey) * geometric_between(white_matter.cbf, severity);
  const double cbv = grey * geometric_between(grey_matter.cbv, severity) +
                     (1.0 - grey) * geometric_between(white_matter.cbv, severity);
  return {cbf, cbv};
}

Head draw_head(const PhantomOptions& options, std::uint64_t seed, const std::string& patient) {
  return HeadBuilder(options, seed, patient).build();
}

}  // namespace perfpipe
