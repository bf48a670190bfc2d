#include "core/signals.hpp"

#include <csignal>
#include <cstdlib>

#include <gtest/gtest.h>

namespace perfpipe {
namespace {

// Signals are sent in child processes: what they change stays there.

TEST(StopSignals, EachOfTheThreeSetsTheFlag) {
  for (int signal : {SIGINT, SIGTERM, SIGUSR1})
    EXPECT_EXIT(
        {
          catch_stop_signals();
          if (stop_signal_received()) std::_Exit(1);
          ::raise(signal);
          std::_Exit(stop_signal_received() ? 7 : 2);
        },
        testing::ExitedWithCode(7), "")
        << signal;
}

TEST(StopSignals, RepeatedOnesOfASchedulerDoNotEndTheProgram) {
  EXPECT_EXIT(
      {
        catch_stop_signals();
        for (int signal : {SIGUSR1, SIGTERM, SIGTERM, SIGUSR1}) ::raise(signal);
        std::_Exit(stop_signal_received() ? 7 : 2);
      },
      testing::ExitedWithCode(7), "");
}

TEST(StopSignals, ASecondInterruptEndsTheProgram) {
  EXPECT_EXIT(
      {
        catch_stop_signals();
        ::raise(SIGINT);
        ::raise(SIGINT);
        std::_Exit(0);
      },
      testing::KilledBySignal(SIGINT), "");
}

TEST(StopSignals, BeforeTheyAreCaughtTheyEndTheProgram) {
  EXPECT_EXIT(
      {
        ::raise(SIGTERM);
        std::_Exit(0);
      },
      testing::KilledBySignal(SIGTERM), "");
}

}  // namespace
}  // namespace perfpipe
