#include "controller/cli/run_screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "controller/report/checks_text.h"
#include "controller/report/live_line.h"
#include "controller/report/sweep_text.h"
#include "controller/report/text.h"

namespace trunkload {
namespace {

bool IsTerminal(int fd) {
  const char* term = std::getenv("TERM");
  return isatty(fd) == 1 && (term == nullptr || std::string(term) != "dumb");
}

size_t Columns() {
  winsize size{};
  // One less than there are, for some terminals wrap a full line.
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

bool ColorWanted(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  return IsTerminal(fd) && (no_color == nullptr || *no_color == '\0');
}

}  // namespace

RunScreen::RunScreen(const Options& options) : options_(options), live_(IsTerminal(STDERR_FILENO)) {}

bool RunScreen::ShowProgress(const v1::Progress& progress) {
  if (options_.quiet) return true;
  if (live_) {
    std::cerr << "\r\033[K" << LiveLine(progress, Columns()) << std::flush;
    line_shown_ = true;
    return true;
  }
  const std::string stage = StageLine(progress);
  if (stage != last_stage_) std::cerr << stage << std::endl;
  last_stage_ = stage;
  return true;
}

void RunScreen::ShowNote(const std::string& text) {
  if (options_.quiet) return;
  ClearLine();
  std::cerr << text << std::endl;
}

void RunScreen::ClearLine() {
  if (line_shown_) std::cerr << "\r\033[K" << std::flush;
  line_shown_ = false;
}

void RunScreen::ShowResult(const v1::RunResult& result) {
  Show([&result](bool color) { return TextReport(result, color); });
}

void RunScreen::ShowResult(const v1::SweepResult& result) {
  Show([&result](bool color) { return SweepText(result, color); });
}

void RunScreen::ShowChecks(const v1::RunResult& result) {
  Show([&result](bool color) { return ChecksReport(result, color); });
}

void RunScreen::Show(const std::function<std::string(bool color)>& report) {
  ClearLine();
  if (options_.quiet) return;
  const int fd = options_.report_on_stderr ? STDERR_FILENO : STDOUT_FILENO;
  std::ostream& out = options_.report_on_stderr ? std::cerr : std::cout;
  out << report(ColorWanted(fd)) << std::flush;
}

}  // namespace trunkload
