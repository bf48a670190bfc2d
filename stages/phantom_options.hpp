// What a simulated cohort is made of. The defaults are the broad ranges of METHODS section 6.
#pragma once

#include "core/config.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace perfpipe {

/// A pair `x_low`, `x_high` is a range from which each patient draws uniformly.
struct PhantomOptions {
  std::string kind = "anatomy";                  ///< anatomy | kudo | study (phantom_grids.hpp)
  std::int64_t tile = 16;                        ///< voxels, edge of a tile of kudo (32) and study
  std::string modality = "mr";                   ///< mr | ct
  std::int64_t patients = 11;                    ///< as many as the paper's cohort
  std::int64_t scan = 1;                         ///< the same patients scanned again: other noise
  std::vector<std::int64_t> size{128, 128, 20};  ///< voxels in x, y, z
  double field_of_view = 224.0;                  ///< mm in x; voxels are square in the plane
  double slice_thickness = 5.0;                  ///< mm
  double duration = 90.0;                        ///< s from the first frame to the last, at most
  double repetition_time_low = 1.0;              ///< s
  double repetition_time_high = 2.2;             ///< s
  double echo_time_low = 0.025;                  ///< s
  double echo_time_high = 0.030;                 ///< s
  double snr_low = 15.0;                         ///< grey matter baseline signal / noise SD of one channel (CT: 8)
  double snr_high = 150.0;                       ///< (CT: 25)
  double arrival_low = 8.0;                      ///< s, bolus in the arteries
  double arrival_high = 14.0;                    ///< s
  double aif_peak_low = 60.0;                    ///< 1/s, ΔR2* of arterial blood at its first peak (CT: 240 HU)
  double aif_peak_high = 90.0;                   ///< 1/s (CT: 360 HU)
  double aif_scale_low = 1.2;                    ///< s, β of the gamma-variate: FWHM is about 4 β
  double aif_scale_high = 2.4;                   ///< s
  double delay_high = 12.0;                      ///< s, longest delay in a lesion (normal tissue: up to 2 s)
  double dispersion_high = 0.3;                  ///< s of exponential dispersion per s of delay, drawn from 0 to this
  std::string residue = "mixed";                 ///< mixed (by region) | exponential | linear | box | gamma
  std::string tissue = "classes";                ///< classes (Manhart et al.) | broad (uniform priors, for training)
  bool out_of_steady_state = true;               ///< the first one or two frames are brighter, the first by 27-32 %
  double hematocrit_factor = 0.73;               ///< kH, as in the deconvolution (METHODS section 4)
  double density = 1.04;                         ///< g/ml
  bool write_mask = false;                       ///< else the import finds the brain itself
  bool write_aif = false;                        ///< else the pipeline finds the arteries itself
};

/// Gives the options that a job leaves out, and whose defaults are of MR, those of CT where it says modality: ct.
void complete_phantom_options(ConfigNode& node);

/// Adds a finding for every range whose low end is above its high end, and for a bolus that the series would cut.
void check_phantom_options(const PhantomOptions& options, const std::string& where, Findings& findings);

}  // namespace perfpipe
