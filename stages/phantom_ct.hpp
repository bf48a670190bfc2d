// What CT shows of a simulated head before any bolus, in HU.
#pragma once

namespace perfpipe {

inline constexpr double ct_grey_matter = 37.0, ct_white_matter = 28.0, ct_csf = 8.0, ct_blood = 45.0;
/// Share by which the brain is smaller on CT, so that skull, scalp and table fit into the image.
inline constexpr double ct_brain_share = 0.8;

/// Outside the brain: a rim of CSF, a skull with a suture on either side in the lower slices, muscle, fat, air, and the
/// shell of the table, which is as dense as brain. `radius` is 1 on the brain's surface, `angle` that around its centre
/// (0 on the left of the image, counted to its lower edge), `w` the slice (0 in the middle, negative below) and `y`
/// runs over the image from -1 to 1, to the back of the head.
double ct_around_the_brain(double radius, double angle, double w, double y);

}  // namespace perfpipe
