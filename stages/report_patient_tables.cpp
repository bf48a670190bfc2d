// The report's tables with a row for each patient: errors and Dice as the paper has them, clinical volumes.
#include "stages/report_rows.hpp"
#include "stages/report_sections.hpp"

namespace perfpipe {

using namespace report_rows;

namespace {

/// A column of the leave-one-out table: one cell for each patient, and those of the rows below them.
struct PatientColumn {
  std::string title;
  std::vector<std::pair<std::string, std::string>> cells;  ///< patient, text
  std::string mean, sd, paper, constant, nearest;
};

/// Errors of one parameter: in its unit, and in percent of the paper's maximum.
void add_error_columns(std::vector<PatientColumn>& columns, const Json& row) {
  const std::string label = label_of(text(row, "parameter"));
  PatientColumn error{fmt::format("{} ({})", label, text(row, "units")),
                      {},
                      shown(row, "armse"),
                      shown(row, "armse_sd"),
                      shown(row, "paper_armse"),
                      shown(row, "constant_armse"),
                      shown(row, "nearest_armse")};
  PatientColumn percent{label + " (%)",
                        {},
                        shown(row, "percent_of_maximum"),
                        shown(row, "percent_of_maximum_sd"),
                        shown(row, "paper_percent_of_maximum"),
                        "",
                        ""};
  for (const auto& patient : row.at("patients")) {
    error.cells.emplace_back(text(patient, "patient"), shown(patient, "rmse"));
    percent.cells.emplace_back(text(patient, "patient"), shown(patient, "percent_of_maximum"));
  }
  columns.push_back(std::move(error));
  columns.push_back(std::move(percent));
}

void add_dice_column(std::vector<PatientColumn>& columns, const Json& row) {
  const auto three = [&](const char* field) {
    return row.at(field).is_null() ? std::string("–") : fmt::format("{:.3f}", number(row, field));
  };
  PatientColumn dice{"Dice " + label_of(text(row, "mask")),
                     {},
                     three("dice"),
                     three("dice_sd"),
                     three("paper_dice"),
                     "",
                     three("nearest_dice")};
  for (const auto& patient : row.at("patients"))
    dice.cells.emplace_back(
        text(patient, "patient"),
        fmt::format("{:.3f}{}", number(patient, "dice"), patient.at("both_empty").get<bool>() ? " (both empty)" : ""));
  columns.push_back(std::move(dice));
}

HtmlTable leave_one_out_table(const std::string& caption, const std::vector<PatientColumn>& columns) {
  HtmlTable table{caption, {{"Patient", false}}, {}};
  std::vector<std::string> patients;
  for (const auto& column : columns) {
    table.columns.push_back({column.title});
    for (const auto& [patient, cell] : column.cells)
      if (std::find(patients.begin(), patients.end(), patient) == patients.end()) patients.push_back(patient);
  }
  std::sort(patients.begin(), patients.end());
  for (const auto& patient : patients) {
    std::vector<std::string> cells{patient};
    for (const auto& column : columns) {
      const auto found = std::find_if(column.cells.begin(), column.cells.end(),
                                      [&](const auto& cell) { return cell.first == patient; });
      cells.push_back(found == column.cells.end() ? "–" : found->second);  // a patient without this map
    }
    table.rows.push_back(std::move(cells));
  }
  const auto add_row = [&](const char* title, std::string PatientColumn::*field) {
    std::vector<std::string> cells{title};
    bool any = false;
    for (const auto& column : columns) {
      cells.push_back(column.*field);
      any = any || !(cells.back().empty() || cells.back() == "–");
    }
    if (!any) return;
    table.emphasised.push_back(table.rows.size());
    table.rows.push_back(std::move(cells));
  };
  add_row("Mean", &PatientColumn::mean);
  add_row("SD", &PatientColumn::sd);
  add_row("Paper", &PatientColumn::paper);
  add_row("Constant predictor", &PatientColumn::constant);
  add_row("Nearest neighbour", &PatientColumn::nearest);
  return table;
}

/// Volumes of one mask by one maker beside the reference's.
HtmlTable mask_volume_table(const Json& row, const std::string& who) {
  HtmlTable table{fmt::format("Volumes of the {} mask: {}", label_of(text(row, "mask")), who),
                  {{"Patient", false}, {"Volume (ml)"}, {"Reference (ml)"}},
                  {}};
  for (const auto& patient : row.at("patients"))
    table.rows.push_back(
        {text(patient, "patient"), shown(patient, "volume_ml"), shown(patient, "reference_volume_ml")});
  return table;
}

}  // namespace

void add_patient_tables(HtmlPage& page, const Json& results) {
  page.paragraph(
      "RMSE over all voxels of the patient's mask, in the parameter's unit and in percent of the paper's maximum. For "
      "Tmax that is 11 s; of 69 s, the paper's other denominator, the tables above and tables/patients.csv have it.");
  for (const auto& pair : pairs_of(results)) {
    std::vector<PatientColumn> columns;
    for (const auto& row : results.at("errors"))
      if (of_pair(row, pair)) add_error_columns(columns, row);
    for (const auto& row : results.at("dice"))
      if (of_pair(row, pair)) add_dice_column(columns, row);
    page.table(leave_one_out_table("Leave one patient out: " + against(pair), columns));
  }
  if (results.at("dice").empty()) return;
  page.begin_fold("Volumes of the masks");
  for (const auto& pair : pairs_of(results))
    for (const auto& row : results.at("dice"))
      if (of_pair(row, pair)) page.table(mask_volume_table(row, against(pair)));
  page.end_fold();
}

void add_clinical_tables(HtmlPage& page, const Json& results) {
  if (results.at("clinical").empty()) return;
  page.section("Clinical volumes");
  page.note(NoteKind::information, "For research use, not for diagnosis.");
  page.paragraph(
      "Hypoperfusion: Tmax over the threshold. Core: CBF under 30 % of the median of tissue with Tmax of at most 4 s, "
      "and "
      "Tmax over 6 s. Mismatch: Tmax > 6 s without the core; its ratio: Tmax > 6 s over core. HIR: volume with Tmax > "
      "10 s "
      "over that with Tmax > 6 s. All within the brain mask.");
  HtmlTable agreement{"Volumes against the reference, over the patients",
                      {{"Maps", false},
                       {"Volume", false},
                       {"Patients"},
                       {"Reference mean (ml)"},
                       {"Bias (ml)"},
                       {"Lower limit (ml)"},
                       {"Upper limit (ml)"},
                       {"Lin's concordance"}},
                      {}};
  static const std::vector<std::pair<const char*, const char*>> volumes{{"tmax_over_4_ml", "Tmax > 4 s"},
                                                                        {"tmax_over_6_ml", "Tmax > 6 s"},
                                                                        {"tmax_over_8_ml", "Tmax > 8 s"},
                                                                        {"tmax_over_10_ml", "Tmax > 10 s"},
                                                                        {"core_ml", "Core"},
                                                                        {"mismatch_ml", "Mismatch"}};
  for (const auto& row : results.at("volume_agreement")) {
    const auto title = std::find_if(volumes.begin(), volumes.end(),
                                    [&](const auto& volume) { return text(row, "volume") == volume.first; });
    agreement.rows.push_back({against({text(row, "maker"), text(row, "reference")}),
                              title == volumes.end() ? text(row, "volume") : title->second,
                              std::to_string(row.at("patients").get<std::int64_t>()), shown(row, "reference_mean_ml"),
                              shown(row, "bias_ml"), shown(row, "lower_limit_ml"), shown(row, "upper_limit_ml"),
                              shown(row, "concordance")});
  }
  if (!agreement.rows.empty()) page.table(agreement);
  page.begin_fold("Each patient's volumes");
  for (const auto& maker : results.at("clinical")) {
    HtmlTable table{text(maker, "maker") == "truth" ? "Simulated truth" : maker_title(text(maker, "maker")),
                    {{"Patient", false}},
                    {}};
    for (const auto& [field, title] : volumes) table.columns.push_back({std::string(title) + " (ml)"});
    table.columns.push_back({"Mismatch ratio"});
    table.columns.push_back({"HIR"});
    for (const auto& patient : maker.at("patients")) {
      std::vector<std::string> cells{text(patient, "patient")};
      for (const auto& [field, title] : volumes) cells.push_back(shown(patient, field));
      cells.push_back(shown(patient, "mismatch_ratio"));
      cells.push_back(shown(patient, "hypoperfusion_intensity_ratio"));
      table.rows.push_back(std::move(cells));
    }
    page.table(table);
  }
  page.end_fold();
}

}  // namespace perfpipe
