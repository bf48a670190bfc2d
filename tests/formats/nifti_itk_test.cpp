// ITK as a second opinion: it must find in our files what we wrote, and we in any file what ITK finds.
#include "formats/nifti_geometry.hpp"
#include "formats/nifti_image.hpp"
#include "tests/formats/nifti_builder.hpp"

#include <cmath>

#include <gtest/gtest.h>
#include <itkNiftiImageIO.h>

namespace perfpipe {
namespace {

struct ItkImage {
  std::vector<double> values;  ///< x fastest, t slowest
  std::vector<std::size_t> size;
  std::vector<double> spacing, origin;
  std::vector<std::vector<double>> direction;  ///< by axis
};

template <class T>
std::vector<double> as_double(const std::vector<char>& buffer) {
  std::vector<double> values(buffer.size() / sizeof(T));
  for (std::size_t i = 0; i < values.size(); ++i) {
    T one;
    std::memcpy(&one, buffer.data() + i * sizeof(T), sizeof(T));
    values[i] = static_cast<double>(one);
  }
  return values;
}

ItkImage read_with_itk(const std::filesystem::path& path) {
  const auto io = itk::NiftiImageIO::New();
  io->SetFileName(path.string());
  io->ReadImageInformation();
  ItkImage image;
  const unsigned dimensions = io->GetNumberOfDimensions();
  itk::ImageIORegion region(dimensions);
  for (unsigned axis = 0; axis < dimensions; ++axis) {
    region.SetIndex(axis, 0);
    region.SetSize(axis, io->GetDimensions(axis));
    image.size.push_back(io->GetDimensions(axis));
    image.spacing.push_back(io->GetSpacing(axis));
    image.origin.push_back(io->GetOrigin(axis));
    image.direction.push_back(io->GetDirection(axis));
  }
  io->SetIORegion(region);
  std::vector<char> buffer(static_cast<std::size_t>(io->GetImageSizeInBytes()));
  io->Read(buffer.data());
  switch (io->GetComponentType()) {
    case itk::IOComponentEnum::UCHAR:
      image.values = as_double<unsigned char>(buffer);
      break;
    case itk::IOComponentEnum::SHORT:
      image.values = as_double<short>(buffer);
      break;
    case itk::IOComponentEnum::FLOAT:
      image.values = as_double<float>(buffer);
      break;
    case itk::IOComponentEnum::DOUBLE:
      image.values = as_double<double>(buffer);
      break;
    default:
      ADD_FAILURE() << "unexpected component type";
  }
  return image;
}

/// (t, z, y, x) to our (z, y, x, t).
std::vector<float> in_our_order(const ItkImage& image, std::size_t frames) {
  const std::size_t voxels = image.values.size() / frames;
  std::vector<float> values(image.values.size());
  for (std::size_t voxel = 0; voxel < voxels; ++voxel)
    for (std::size_t t = 0; t < frames; ++t)
      values[voxel * frames + t] = static_cast<float>(image.values[t * voxels + voxel]);
  return values;
}

TEST(NiftiItk, BothReadTheSameValues) {
  const TempFolder folder;
  for (const int type : {2, 4, 16, 64})
    for (const bool big_endian : {false, true})
      for (const double slope : {0.0, 0.5})
        for (const auto& dim : {std::vector<std::int64_t>{5, 4, 3, 12}, std::vector<std::int64_t>{5, 4, 3, 1, 12}})
          for (const char* name : {"a.nii", "a.nii.gz"}) {
            NiftiBuilder builder;
            builder.datatype = type;
            builder.big_endian = big_endian;
            builder.scl_slope = slope;
            builder.scl_inter = slope == 0.0 ? 0.0 : -7.0;
            builder.dim = dim;
            const auto path = builder.write(folder, name);
            std::vector<float> ours;
            NiftiReader(path).read_slab(0, 3, ours);
            EXPECT_EQ(ours, in_our_order(read_with_itk(path), 12)) << type << " " << big_endian << " " << slope;
          }
}

TEST(NiftiItk, ItkFindsTheValuesAndTheGeometryThatWeWrote) {
  const TempFolder folder;
  // A quarter turn about z. ITK's axes are LPS: x and y change their sign.
  const Affine affine{{{0, -2, 0, 10}, {1.5, 0, 0, 20}, {0, 0, 5, -30}}};
  const NiftiHeader header = make_nifti_header({5, 4, 3}, 12, 1.25, affine);
  std::vector<float> values(5 * 4 * 3 * 12);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) * 0.5f;
  write_nifti_series(folder / "a.nii.gz", values, header, "");
  const ItkImage image = read_with_itk(folder / "a.nii.gz");
  EXPECT_EQ(in_our_order(image, 12), values);
  EXPECT_EQ(image.size, (std::vector<std::size_t>{5, 4, 3, 12}));
  const std::vector<double> spacing{1.5, 2, 5, 1.25}, origin{-10, -20, -30};
  const double direction[3][3] = {{0, -1, 0}, {1, 0, 0}, {0, 0, 1}};                                   // by axis, LPS
  for (std::size_t axis = 0; axis < 4; ++axis) EXPECT_NEAR(image.spacing[axis], spacing[axis], 1e-6);  // float32 header
  for (std::size_t axis = 0; axis < 3; ++axis) {
    EXPECT_NEAR(image.origin[axis], origin[axis], 1e-5);
    for (std::size_t row = 0; row < 3; ++row) EXPECT_NEAR(image.direction[axis][row], direction[axis][row], 1e-6);
  }
}

}  // namespace
}  // namespace perfpipe
