#include "host/options.h"

#include <vector>

#include "test/check.h"

namespace vnetd {
namespace {

ParsedOptions parse(const std::vector<const char*>& words) { return parseOptions(words); }

TEST("every option is taken, with its value beside it or behind an equals sign") {
  const ParsedOptions parsed = parse(
      {"--socket", "/run/dp.sock", "--pid-file=/run/dp.pid", "--port", "1799", "--user=me",
       "--bind", "10.0.0.1", "--queues", "1", "--no-tap-offload", "--no-udp-gso", "--no-udp-gro"});
  CHECK(parsed.kind == ParsedOptions::Kind::kRun);
  CHECK_EQ(parsed.options.socketPath, std::string("/run/dp.sock"));
  CHECK_EQ(parsed.options.pidFile, std::string("/run/dp.pid"));
  CHECK_EQ(parsed.options.udpPort, 1'799);
  CHECK_EQ(parsed.options.user, std::string("me"));
  CHECK_EQ(parsed.options.bindAddress, std::string("10.0.0.1"));
  CHECK(!parsed.options.tapOffload);
  CHECK(!parsed.options.udpSegmentation);
  CHECK(!parsed.options.udpCoalescing);
  CHECK_EQ(describeOptions(parsed.options),
           std::string("--port 1799 --bind 10.0.0.1 --no-tap-offload --no-udp-gso --no-udp-gro"));
}

TEST("the defaults are the original's port and every offload") {
  const ParsedOptions parsed = parse({"--socket", "s"});
  CHECK_EQ(parsed.options.udpPort, 1'798);
  CHECK(parsed.options.tapOffload && parsed.options.udpSegmentation &&
        parsed.options.udpCoalescing);
}

TEST("the socket is a path, or systemd's") {
  CHECK(!parse({"--socket", "/run/dp.sock"}).options.inheritsSocket());
  CHECK(parse({"--socket", "systemd"}).options.inheritsSocket());
}

TEST("help and version win over what follows") {
  CHECK(parse({"--help", "--nonsense"}).kind == ParsedOptions::Kind::kHelp);
  CHECK(parse({"-h"}).kind == ParsedOptions::Kind::kHelp);
  CHECK(parse({"--version"}).kind == ParsedOptions::Kind::kVersion);
}

TEST("what is wrong is named") {
  struct Case {
    std::vector<const char*> words;
    const char* message;
  };
  const std::vector<Case> cases{
      {{}, "--socket PATH is missing"},
      {{"--socket"}, "--socket needs a value"},
      {{"--socket", ""}, "--socket needs a value"},
      {{"--socket", "s", "--port", "0"}, "--port must be 1 to 65535, not \"0\""},
      {{"--socket", "s", "--port", "65536"}, "--port must be 1 to 65535, not \"65536\""},
      {{"--socket", "s", "--port", "17x"}, "--port must be 1 to 65535, not \"17x\""},
      {{"--socket", "s", "--queues", "2"}, "--queues must be 1, not \"2\""},
      {{"--socket", "s", "--colour", "red"}, "unknown option --colour"},
      {{"--socket", "s", "red"}, "unexpected argument \"red\""},
  };
  for (const Case& one : cases) {
    const ParsedOptions parsed = parse(one.words);
    CHECK(parsed.kind == ParsedOptions::Kind::kWrong);
    CHECK_EQ(parsed.message, std::string(one.message));
  }
}

}  // namespace
}  // namespace vnetd

VNETD_TEST_MAIN()
