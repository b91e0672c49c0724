#include <string>
#include <vector>

#include "notify/call.h"
#include "test/check.h"

namespace vnetd::notify {
namespace {

Call parse(const std::vector<const char*>& words) { return parseCall(words); }

TEST("words become the fields of a JSON object, in their order") {
  const Call call = parse({"--run-dir", "/tmp/run", "--deadline-ms", "500", "/vif-hotplug",
                           "vif=vif5.0", "devid:=0", "empty=", "xml@", "action=a=b"});
  CHECK(call.kind == Call::Kind::kCall);
  CHECK_EQ(call.runDirectory, std::string("/tmp/run"));
  CHECK_EQ(call.deadlineMs, 500U);
  CHECK_EQ(call.path, std::string("/vif-hotplug"));
  CHECK_EQ(call.fields, std::string(R"("vif":"vif5.0","devid":0,"empty":"","action":"a=b")"));
  CHECK_EQ(call.inputKey, std::string("xml"));
}

TEST("a value cannot end its string, nor the request") {
  std::string fields;
  appendField(fields, "a", "\",\"b\":\"\\\r\n\t\x01");
  CHECK_EQ(fields, std::string(R"("a":"\",\"b\":\"\\\u000d\u000a\u0009\u0001")"));
}

TEST("what is no call is told, with the word") {
  CHECK_EQ(parse({}).message, std::string("no path of the API is given: see --help"));
  CHECK_EQ(parse({"vif"}).message, std::string("not a path of the API: vif"));
  CHECK_EQ(parse({"/a b"}).message, std::string("not a path of the API: /a b"));
  CHECK_EQ(parse({"/a\r\nX: y"}).kind == Call::Kind::kWrong, true);
  for (const char* word :
       {"vif", "=x", "a-b=c", "devid:=", "devid:=-1", "devid:=1x", "@", "a:=b"}) {
    const Call call = parse({"/vif-hotplug", word});
    CHECK(call.kind == Call::Kind::kWrong);
    CHECK_EQ(call.message, std::string("not KEY=TEXT, KEY:=NUMBER or KEY@: ") + word);
  }
  CHECK(parse({"/a", "x@", "y@"}).kind == Call::Kind::kWrong);
  CHECK(parse({"--deadline-ms", "0", "/a"}).kind == Call::Kind::kWrong);
  CHECK(parse({"--deadline-ms"}).kind == Call::Kind::kWrong);
  CHECK(parse({"--help"}).kind == Call::Kind::kHelp);
}

TEST("the request says how long its body is") {
  const std::string request = formatRequest(parse({"/a", "b=c"}));
  CHECK(request.starts_with("POST /a HTTP/1.1\r\n"));
  CHECK(request.ends_with("Content-Length: 9\r\n\r\n{\"b\":\"c\"}"));
}

TEST("what is only read has no body and no fields") {
  const Call call = parse({"--get", "/names?kind=vnet"});
  CHECK(call.kind == Call::Kind::kCall);
  CHECK_EQ(formatRequest(call), std::string("GET /names?kind=vnet HTTP/1.1\r\nHost: vnetd\r\n"
                                            "Connection: close\r\n\r\n"));
  CHECK(parse({"--get", "/a", "b=c"}).kind == Call::Kind::kWrong);
  CHECK(parse({"/a", "b@", "--get"}).kind == Call::Kind::kWrong);
  CHECK_EQ(parseReply("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n97\n").body,
           std::string("97\n"));
}

TEST("an answer is whole or none") {
  CHECK_EQ(parseReply("HTTP/1.1 204 No Content\r\n\r\n").status, 204);
  CHECK_EQ(parseReply("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").status, 200);
  CHECK_EQ(parseReply("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}").status, 0);
  CHECK_EQ(parseReply("HTTP/1.1 200 OK\r\n").status, 0);
  CHECK_EQ(parseReply("").status, 0);
  CHECK_EQ(parseReply("HTTP/1.1 2x0 OK\r\n\r\n").status, 0);
  CHECK_EQ(parseReply("SSH-2.0\r\n\r\n").status, 0);
}

TEST("an error's message is told as it was meant") {
  const std::string body = R"({"error":{"code":"X","message":"No \"such\" VIF: \\ \u00e9\u2026"}})";
  const std::string reply =
      "HTTP/1.1 404 Not Found\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" +
      body;
  CHECK_EQ(parseReply(reply).status, 404);
  CHECK_EQ(parseReply(reply).message, std::string("No \"such\" VIF: \\ é…"));
  CHECK_EQ(parseReply("HTTP/1.1 500 X\r\n\r\n{\"message\":\"cut\\").message, std::string("cut\\"));
}

}  // namespace
}  // namespace vnetd::notify

VNETD_TEST_MAIN()
