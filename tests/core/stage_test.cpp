#include "core/stage.hpp"

#include "core/hash.hpp"
#include "tests/temp_folder.hpp"

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

TaskInfo patient_task(const std::string& stage, const std::string& subject, const std::string& session = "") {
  TaskInfo task;
  task.stage = stage;
  task.scope = Scope::patient;
  task.subject = subject;
  task.name = session.empty() ? subject : subject + "_" + session;
  task.series = 0;
  return task;
}

TaskInfo fold_task(const std::string& stage, const std::string& held_out) {
  TaskInfo task;
  task.stage = stage;
  task.scope = Scope::fold;
  task.held_out = held_out;
  task.name = "fold-" + held_out + "_cbf";
  return task;
}

TaskInfo cohort_task(const std::string& stage) {
  TaskInfo task;
  task.stage = stage;
  task.scope = Scope::cohort;
  task.name = "cohort";
  return task;
}

std::string failure(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "no failure";
}

const char* const fold_name = "training/fold-sub-02_cbf";

std::string refusal_of(const TaskInfo& input) {
  return failure([&] { StoreView(fold_name, "sub-02", {{input, "x.h5", "port"}}); });
}

TEST(StoreView, AFoldRefusesInputsThatCouldHoldItsSubject) {
  EXPECT_EQ(refusal_of(patient_task("aif", "sub-02")),
            "x.h5: leakage: training/fold-sub-02_cbf holds out sub-02 and must not read aif/sub-02");
  for (const auto& input :
       {patient_task("aif", "sub-02", "ses-2"), fold_task("binning", "sub-01"), cohort_task("evaluation")})
    EXPECT_NE(refusal_of(input).find("leakage"), std::string::npos) << input.id();
  for (const auto& input : {patient_task("aif", "sub-01"), fold_task("binning", "sub-02")})
    EXPECT_EQ(refusal_of(input), "no failure") << input.id();
}

TEST(StoreView, WhereNobodyIsHeldOutEverythingMayBeRead) {
  EXPECT_NO_THROW(StoreView("evaluation/cohort", "",
                            {{patient_task("aif", "sub-02"), "a.h5", "aif"},
                             {fold_task("binning", "sub-01"), "b.h5", "draws"},
                             {cohort_task("evaluation"), "c.h5", "table"}}));
}

TEST(StoreView, OpensDeclaredInputsAlone) {
  const TempFolder folder;
  const auto write = [&](const std::string& name) {
    ArtifactWriter writer(folder / name, "k", nullptr);
    writer.set_metadata({{"name", name}});
    writer.commit();
    return folder / name;
  };
  const TaskInput one{patient_task("aif", "sub-01"), write("aif-01.h5"), "aif"};
  const TaskInput three{patient_task("aif", "sub-03"), write("aif-03.h5"), "aif"};
  const TaskInput draws{fold_task("binning", "sub-02"), write("draws.h5"), "draws"};
  const StoreView view(fold_name, "sub-02", {one, three, draws});

  EXPECT_EQ(view.open("draws").metadata().at("name"), "draws.h5");
  EXPECT_EQ(view.open(three).metadata().at("name"), "aif-03.h5");
  ASSERT_EQ(view.inputs("aif").size(), 2u);
  EXPECT_EQ(view.inputs("aif")[0].task.id(), "aif/sub-01") << "in the order in which they were given";
  EXPECT_TRUE(view.inputs("network").empty());

  EXPECT_NE(failure([&] { view.open("aif"); }).find("port 'aif' has 2 inputs where one is needed"), std::string::npos);
  EXPECT_THROW(view.open("network"), TaskFailure) << "the task that makes it failed";
  const TaskInput undeclared{patient_task("aif", "sub-04"), write("aif-04.h5"), "aif"};
  EXPECT_NE(
      failure([&] { view.open(undeclared); }).find("aif/sub-04 is not a declared input of " + std::string(fold_name)),
      std::string::npos);
  TaskInput disguised = one;
  disguised.file = write("aif-02.h5");
  EXPECT_NE(failure([&] { view.open(disguised); }).find("not a declared input"), std::string::npos)
      << "a known task with another file";
  const TaskInput held_out{patient_task("aif", "sub-02"), folder / "aif-02.h5", "aif"};
  EXPECT_NE(failure([&] { view.open(held_out); }).find("leakage"), std::string::npos);
}

class Context : public testing::Test {
 protected:
  Context() {
    job_.output = folder_ / "out";
    job_.slab_bytes = 1000;
    for (const char* name : {"sub-01", "sub-02"}) {
      cohort_.series.emplace_back();
      cohort_.series.back().name = cohort_.series.back().subject = name;
    }
  }
  StageContext context(const TaskInfo& task) {
    return StageContext(task, job_, cohort_, StoreView(task.id(), task.held_out, {}), writer_, log_,
                        [this] { return stop_; });
  }

  TempFolder folder_;
  JobInfo job_;
  Cohort cohort_;
  Log log_{1};
  ArtifactWriter writer_{folder_ / "out/store/x.h5", "k", nullptr};
  bool stop_ = false;
};

TEST_F(Context, AFoldTaskDoesNotSeeTheCohort) {
  EXPECT_NE(failure([&] {
              context(fold_task("training", "sub-02")).cohort();
            }).find("leakage: a task that holds out sub-02 must not see the whole cohort"),
            std::string::npos);
  EXPECT_EQ(context(cohort_task("evaluation")).cohort().series.size(), 2u);
}

TEST_F(Context, APatientTaskAloneHasASeries) {
  auto task = patient_task("aif", "sub-02");
  task.series = 1;
  EXPECT_EQ(context(task).series().name, "sub-02");
  for (const auto& other : {fold_task("training", "sub-02"), cohort_task("evaluation")})
    EXPECT_NE(failure([&] { context(other).series(); }).find("only a patient task has a series"), std::string::npos);
}

TEST_F(Context, WarningsAreKeptForTheArtifact) {
  auto at = context(patient_task("aif", "sub-01"));
  testing::internal::CaptureStderr();
  at.warn("the bolus is cut");
  EXPECT_NE(testing::internal::GetCapturedStderr().find("aif/sub-01: the bolus is cut"), std::string::npos);
  EXPECT_EQ(at.warnings(), std::vector<std::string>{"the bolus is cut"});
}

TEST_F(Context, PublishedFilesAreRecordedWithTheirHash) {
  auto at = context(patient_task("export", "sub-01"));
  at.publish("tables/a.csv", "x,y\n");
  at.publish("maps/b.bin", [](const std::filesystem::path& path) { std::ofstream(path) << "map"; });
  writer_.commit();
  EXPECT_EQ(file_bytes(folder_ / "out/tables/a.csv"), "x,y\n");
  const auto published = ArtifactReader(folder_ / "out/store/x.h5").published();
  ASSERT_EQ(published.size(), 2u);
  EXPECT_EQ(published[0].path, "tables/a.csv");
  EXPECT_EQ(published[0].hash, hash128("x,y\n"));
  EXPECT_EQ(published[1].hash, hash128("map"));
  folder_.write("out/file", "x");
  EXPECT_NE(failure([&] { at.publish("file/c", "x"); }).find("the folder cannot be created"), std::string::npos);
}

TEST_F(Context, ASlabHoldsWhatMemoryAllows) {
  const auto at = context(patient_task("import", "sub-01"));
  EXPECT_EQ(at.slab_slices(300), 3);
  EXPECT_EQ(at.slab_slices(1000), 1);
  EXPECT_EQ(at.slab_slices(5000), 1) << "one slice at least";
  EXPECT_EQ(at.slab_slices(0), 1000);
}

TEST_F(Context, AsksWhetherToStop) {
  const auto at = context(patient_task("import", "sub-01"));
  EXPECT_FALSE(at.stop_requested());
  stop_ = true;
  EXPECT_TRUE(at.stop_requested());
}

struct EchoOptions {
  double factor = 2.0;
};
class Echo final : public StageWith<EchoOptions> {
 public:
  using StageWith::StageWith;
  static StageType describe() {
    StageType type;
    type.name = "echo";
    return type;
  }
  static OptionTable<EchoOptions> table() {
    OptionTable<EchoOptions> t;
    t.number("factor", &EchoOptions::factor, {0.0, 9.0}, "", "factor");
    return t;
  }
  Ports ports() const override { return {}; }
  void run(StageContext&) const override {}
};

TEST(StageTypes, AreMadeFromAClassWithATable) {
  const StageType type = make_stage_type<Echo>();
  EXPECT_EQ(type.options.at(0).initial, "2.0");
  Findings findings;
  const auto stage = type.configure(parse_config("factor: 3", "job"), findings);
  EXPECT_EQ(stage->parameters().dump(), R"({"factor":3.0})");
  EXPECT_FALSE(stage->uses_seed());
  EXPECT_EQ(stage->fold_parameters().size(), 4u);
  type.configure(parse_config("factr: 3", "job"), findings);
  EXPECT_NE(findings.lines().at(0).find("did you mean 'factor'?"), std::string::npos);
}

}  // namespace
}  // namespace perfpipe
