// A simulated head: where grey matter, white matter, CSF, vessels and a lesion lie, and how each voxel is perfused.
#pragma once

#include "formats/label_table.hpp"
#include "stages/phantom_curves.hpp"
#include "stages/phantom_options.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace perfpipe {

enum class Tissue : std::uint8_t { air, grey, white, csf, artery, vein, perivascular };

/// Perfusion of the tissue classes (Manhart et al., METHODS section 6): normal, reduced (penumbra), severely reduced
/// (core).
struct TissueClass {
  std::array<double, 3> cbv;  ///< ml/100g
  std::array<double, 3> cbf;  ///< ml/100g/min
};
inline constexpr TissueClass grey_matter{{3.3, 3.0, 0.71}, {53.0, 16.0, 5.3}};
inline constexpr TissueClass white_matter{{1.9, 1.7, 0.42}, {25.0, 7.5, 2.5}};
/// Half-width of the CBF spread as a share of the mean: ±14 of 53, ±4.25 of 16 and ±1.4 of 5.3 are one and the same.
inline constexpr double cbf_spread = 14.0 / 53.0;
/// Half-width of the MTT spread in s, by the same three states.
inline constexpr std::array<double, 3> mtt_spread{0.7, 0.75, 1.0};
/// Tissue with the many small vessels around a large one: the "vessels well above" of the classes.
inline constexpr double perivascular_cbf = 120.0;
inline constexpr double perivascular_cbv = 7.5;

/// Everything per voxel, x fastest, then y, then z.
struct Head {
  std::vector<Tissue> tissue;
  std::vector<float> baseline;       ///< MR: S0 relative to that of grey matter, 0 in air; CT: HU
  std::vector<Kinetics> kinetics;    ///< of the tissue; CBF 0 where there is none: air, CSF
  std::vector<float> blood;          ///< share of the voxel that a large vessel fills
  std::vector<std::uint8_t> lesion;  ///< 0 none, 1 penumbra, 2 core
  std::vector<float> snr = {};       ///< 0, or empty: the patient's
  std::vector<float> label = {};     ///< region or condition, as `labels` describes it; 0 where there is no truth
  LabelTable labels = {};
};

/// CBF and CBV of a voxel with a share `grey` of grey matter, the rest white, at lesion severity 0 (normal), 1
/// (reduced) to 2 (severely reduced): geometric interpolation between the states of a class, linear between the
/// classes.
std::array<double, 2> class_perfusion(double grey, double severity);

/// Draws the head of one patient. Depends on the seed, the patient's name and the options only.
Head draw_head(const PhantomOptions& options, std::uint64_t seed, const std::string& patient);

}  // namespace perfpipe
