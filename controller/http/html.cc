#include "controller/http/html.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace trunkload {

std::string EscapedHtml(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        // What no page may hold.
        if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') {
          escaped += "?";
        } else {
          escaped += c;
        }
    }
  }
  return escaped;
}

std::string UtcText(const std::string& time) {
  std::string text = time.substr(0, 19);
  std::replace(text.begin(), text.end(), 'T', ' ');
  return absl::StrCat(text, " UTC");
}

std::string Html::Page(absl::string_view title, int reload_s, const Html& body) {
  const std::string reload =
      reload_s > 0 ? absl::StrCat("<meta http-equiv=\"refresh\" content=\"", reload_s, "\">\n") : "";
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n",
      reload, "<title>", EscapedHtml(title),
      "</title>\n<link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" "
      "href=\"/style.css\">\n</head>\n"
      "<body>\n<main>\n",
      body.text(), "</main>\n</body>\n</html>\n");
}

Html& Html::Raw(absl::string_view markup) {
  absl::StrAppend(&text_, markup);
  return *this;
}

Html& Html::Text(absl::string_view text) {
  return Raw(EscapedHtml(text));
}

Html& Html::Element(absl::string_view tag, absl::string_view css_class, absl::string_view text) {
  Raw(absl::StrCat("<", tag));
  if (!css_class.empty()) Raw(absl::StrCat(" class=\"", css_class, "\""));
  return Raw(">").Text(text).Raw(absl::StrCat("</", tag, ">\n"));
}

Html& Html::Link(absl::string_view path, absl::string_view text) {
  return Raw("<a href=\"").Text(path).Raw("\">").Text(text).Raw("</a>");
}

void Html::BeginTable(const std::vector<std::string>& heads) {
  numbers_.clear();
  Raw("<div class=\"wide\"><table>\n<thead><tr>");
  for (const std::string& head : heads) {
    const bool number = !head.empty() && head[0] == '>';
    numbers_.push_back(number);
    Raw(number ? "<th scope=\"col\" class=\"number\">" : "<th scope=\"col\">");
    Text(absl::string_view(head).substr(number ? 1 : 0)).Raw("</th>");
  }
  Raw("</tr></thead>\n<tbody>");
}

void Html::BeginRow(absl::string_view css_class) {
  if (row_open_) Raw("</tr>");
  Raw(css_class.empty() ? "\n<tr>" : absl::StrCat("\n<tr class=\"", css_class, "\">"));
  row_open_ = true;
  column_ = 0;
}

void Html::OpenCell() {
  const bool number = column_ < numbers_.size() && numbers_[column_];
  Raw(number ? "<td class=\"number\">" : "<td>");
  ++column_;
}

void Html::Cell(absl::string_view text) {
  OpenCell();
  Text(text).Raw("</td>");
}

void Html::RawCell(const Html& content) {
  OpenCell();
  Raw(content.text()).Raw("</td>");
}

void Html::EndTable() {
  if (row_open_) Raw("</tr>");
  row_open_ = false;
  Raw("\n</tbody></table></div>\n");
}

}  // namespace trunkload
