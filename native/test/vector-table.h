// Reads the tables of test/vectors: comment lines begin with '#', the first other line names the
// columns, columns are divided by tabs.
#pragma once

#include <cstddef>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace vnetd::test {

using VectorRow = std::map<std::string, std::string>;

inline std::vector<std::string> splitText(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char letter : text) {
    if (letter == separator) {
      parts.emplace_back();
    } else {
      parts.back() += letter;
    }
  }
  return parts;
}

// Empty when the file is not there: the caller requires rows.
inline std::vector<VectorRow> readVectors(const std::string& name) {
  std::ifstream file(std::string(VNETD_VECTOR_DIR) + "/" + name);
  std::vector<std::string> columns;
  std::vector<VectorRow> rows;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') {
      continue;
    }
    const auto cells = splitText(line, '\t');
    if (columns.empty()) {
      columns = cells;
      continue;
    }
    VectorRow row;
    for (std::size_t i = 0; i < columns.size() && i < cells.size(); ++i) {
      row[columns[i]] = cells[i];
    }
    rows.push_back(row);
  }
  return rows;
}

// "-" is nothing.
inline std::vector<std::byte> parseHex(const std::string& text) {
  std::vector<std::byte> octets;
  if (text == "-") {
    return octets;
  }
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    octets.push_back(static_cast<std::byte>(std::stoul(text.substr(i, 2), nullptr, 16)));
  }
  return octets;
}

template <class Octets>
std::string printHex(const Octets& octets) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte octet : octets) {
    const auto value = std::to_integer<unsigned>(octet);
    text += kDigits[value >> 4U];
    text += kDigits[value & 0xFU];
  }
  return text;
}

}  // namespace vnetd::test
