// The phantom operator: one simulated DSC-MR or CT perfusion series with the truth behind it (METHODS section 6).
#pragma once

#include "core/parameters.hpp"
#include "stages/phantom_anatomy.hpp"
#include "stages/phantom_curves.hpp"
#include "stages/phantom_options.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace perfpipe {

/// One simulated patient. Volumes are (z, y, x), x fastest; the signal is (z, y, x, t), time fastest.
struct PhantomPatient {
  std::string name;                      ///< "sub-01"
  std::array<std::int64_t, 3> extent{};  ///< voxels in x, y, z
  std::array<double, 3> voxel_mm{};      ///< x, y, z
  double repetition_time = 0.0;          ///< s, a whole number of ms
  double echo_time = 0.0;                ///< s; without a meaning on CT
  double snr = 0.0;                      ///< grey matter baseline / noise SD, where the voxel has none of its own
  double noise_sd = 0.0;                 ///< in units of the signal: of each of MR's two channels, of CT's HU
  std::vector<double> times;             ///< s, from 0
  std::vector<double> aif;               ///< true ΔR2* (1/s) or HU of arterial blood at `times`
  ArterialInput input;                   ///< the same, between the samples
  std::vector<float> signal;             ///< magnitude with Rician noise, grey matter about 1000; HU
  std::vector<std::uint8_t> brain_mask;  ///< everything but air
  std::array<std::vector<float>, 4>
      truth;                         ///< by parameter; 0 where there is no capillary bed: air, CSF, large vessels
  std::vector<float> delay;          ///< s, true arrival delay relative to the AIF
  std::vector<std::uint8_t> lesion;  ///< 0 none, 1 penumbra, 2 core
  std::vector<float> label;          ///< region or condition
  LabelTable labels;
};

/// Voxels in x, y, z by the kind of phantom.
std::array<std::int64_t, 3> phantom_extent(const PhantomOptions& options);

/// "sub-01" for 1.
std::string phantom_patient_name(std::int64_t number);

/// Simulates patient `number` (1, 2, ...). The same seed and options give the same bits whatever the number of
/// patients.
///
/// C = (ρ/kH)·CBF/6000·(AIF ⊗ R) in tissue, the AIF itself in arteries and a later, wider AIF in veins, all as ΔR2* in
/// 1/s; S = S0·exp(-TE·C), magnitude of S plus complex Gaussian noise. The relaxivity is one for tissue and blood, so
/// that a deconvolution with the same kH and ρ gives CBF back. Then an artery's ΔR2* is about 20 times that of grey
/// matter (CBV 3.3 ml/100g), and the dose is a compromise: at the default 7 to 20 % of the arterial signal is left at
/// the peak, above the noise, and grey matter drops by 5 to 10 %, less than in a patient.
///
/// On CT the same curves are HU on top of a head with skull, scalp and table (phantom_ct.hpp), with Gaussian noise.
///
/// Times: 64x64x6 voxels with 60 frames take 0.2 s on one core, 128x128x20 with 90 frames 3.5 s. Memory: 4 bytes per
/// voxel and frame, and 80 per voxel.
PhantomPatient simulate_patient(const PhantomOptions& options, std::uint64_t seed, std::int64_t number);

}  // namespace perfpipe
