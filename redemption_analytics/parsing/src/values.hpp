// Single values: every way in which numbers, times and truths are written. Each reader takes the
// text of a value and gives what it means, or the reason why it means nothing of its kind.
#pragma once

#include "json.hpp"

namespace reader {

enum class Kind : u8 { TEXT, INTEGER, POINTS, AMOUNT, TIME, BOOLEAN };

// The binding says each in words, in the same order.
enum Reason : i32 {
  FITS = 0,
  BLANK, // no reason, but no value either
  NO_OBJECT,
  MISSING,
  TWICE,
  HALF_SURROGATE,
  NO_TEXT,
  NO_NUMBER,
  TOO_LARGE,
  NO_WHOLE_NUMBER,
  NOT_64_BITS,
  NO_WHOLE_POINTS,
  NEGATIVE,
  TOO_MANY_POINTS,
  DECIMAL_PLACES,
  INEXACT_POINTS,
  NO_TIME,
  NO_TIME_FORM,
  OFFSET,
  OUT_OF_RANGE,
  NO_TRUTH,
  FOREIGN_ELEMENT,
  NO_RECORD_OBJECT,
  NO_ROOT,
  NOBODY,
  FOREIGN_ROOT,
  UNDECODABLE,
  NO_ANSWER,
  CUT_OFF,
  REFUSED_UNREAD,
};

constexpr int LARGEST_DIGITS = 31;
constexpr u64 POINTS_LIMIT = 1000000000000000000u;

// What programs write where they have no time.
struct NoTimes {
  Span dates[16]; // as text, whatever the time of day
  u32 count;
  i64 first, last; // microseconds since 1970, in whatever zone

  bool holds(Span text) const {
    for (u32 i = 0; i < count; i++)
      if (text.size >= dates[i].size && !std::memcmp(text.data, dates[i].data, dates[i].size))
        return true;
    return false;
  }
};

// A decimal number, exactly: the digits that count, without zeros around them, times a power of 10.
struct Number {
  bool negative = false;
  u64 digits = 0; // the number that they make, where there are 19 at most
  i64 count = 0;  // how many
  i64 exponent = 0;
  Span written{nullptr, 0};

  bool zero() const { return count == 0; }
  bool whole() const { return zero() || exponent >= 0; }
  i64 places() const { return count + exponent; } // before the point
};

// Read a number of the form of JSON, or with more liberties; `free` tells whether its form is to
// be checked.
inline bool read_number(Span text, bool free, Number &number) {
  const u8 *at = text.data, *end = at + text.size;
  number = Number();
  if (at < end && (*at == '-' || (free && *at == '+'))) number.negative = *at++ == '-';
  number.written.data = at;
  i64 met = 0, fraction = 0, whole = 0;
  u64 digits = 0;
  bool point = false;
  for (; at < end; at++) {
    u8 c = *at;
    if (is_digit(c)) {
      if (point) fraction++;
      else whole++;
      if (c == '0' && !met) continue;
      met++;
      if (met <= 19) digits = digits * 10 + (c - '0'); // 19 nines fit
      if (c != '0') number.count = met, number.digits = digits;
    } else if (c == '.' && !point) {
      point = true;
    } else {
      break;
    }
  }
  if (free) {
    if (!whole && !fraction) return false;
    if (whole > 400 || fraction > 400) return false;
  }
  number.written.size = static_cast<std::size_t>(at - number.written.data);
  i64 exponent = 0;
  if (at < end) {
    if ((*at | 32) != 'e') return false;
    at++;
    bool below = false;
    if (at < end && (*at == '+' || *at == '-')) below = *at++ == '-';
    const u8 *first = at;
    for (; at < end && is_digit(*at); at++)
      if (exponent < 100000000000000000) exponent = exponent * 10 + (*at - '0');
    if (at < end || at == first || (free && at - first > 9)) return false;
    if (below) exponent = -exponent;
  }
  if (number.count) number.exponent = exponent - fraction + (met - number.count);
  return true;
}

// Give a whole number of at most 19 places; false where it does not fit.
inline bool whole_number(const Number &number, u64 &value) {
  if (number.zero()) return value = 0, true;
  if (number.places() > 20) return false;
  u64 made = number.digits;
  if (number.count > 19) return false;
  for (i64 i = 0; i < number.exponent; i++)
    if (__builtin_mul_overflow(made, u64(10), &made)) return false;
  value = made;
  return true;
}

// The nearest double, whatever the digits.
inline double nearest(const Number &number) {
  static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                  1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (number.zero()) return 0.0;
  i64 exponent = number.exponent;
  double value;
#if !defined(__FLT_EVAL_METHOD__) || __FLT_EVAL_METHOD__ == 0
  // Both are exact, so that one rounding gives the nearest.
  if (number.count <= 15 && exponent >= -22 && exponent <= 22) {
    value = static_cast<double>(number.digits);
    value = exponent < 0 ? value / powers[-exponent] : value * powers[exponent];
    return number.negative ? -value : value;
  }
#endif
  // Without a point, which other locales write as a comma.
  char digits[840];
  int length = 0;
  i64 taken = 0;
  bool more = false;
  for (std::size_t i = 0; i < number.written.size; i++) {
    u8 c = number.written.data[i];
    if (c == '.' || (c == '0' && !taken)) continue;
    if (taken == number.count) break;
    taken++;
    // No double is halfway between two others by more than 770 digits.
    if (taken <= 800) digits[length++] = static_cast<char>(c);
    else if (c != '0') more = true;
  }
  i64 left = exponent + (taken > 800 ? taken - 800 : 0);
  if (more) {
    digits[length++] = '1';
    left--;
  }
  if (left + length > 400) return number.negative ? -__builtin_inf() : __builtin_inf();
  if (left + length < -400) return 0.0;
  digits[length++] = 'e';
  if (left < 0) digits[length++] = '-', left = -left;
  char reversed[24];
  int figures = 0;
  do reversed[figures++] = static_cast<char>('0' + left % 10);
  while (left /= 10);
  while (figures) digits[length++] = reversed[--figures];
  digits[length] = 0;
  value = std::strtod(digits, nullptr);
  return number.negative ? -value : value;
}

// Tell whether three decimal places of a number of points come back from its double.
inline bool places_survive(const Number &number, double value) {
  unsigned __int128 thousandths = number.digits;
  if (number.count > 19) {
    // With 18 places before the point, and three behind.
    thousandths = 0;
    i64 taken = 0;
    for (std::size_t i = 0; i < number.written.size && taken < number.count; i++) {
      u8 c = number.written.data[i];
      if (c == '.' || (c == '0' && !taken)) continue;
      thousandths = thousandths * 10 + (c - '0');
      taken++;
    }
  }
  for (i64 i = -3; i < number.exponent; i++) thousandths *= 10;
  // The double is positive, and no smaller than a thousandth.
  u64 bits;
  std::memcpy(&bits, &value, 8);
  unsigned __int128 mantissa = (bits & 0xfffffffffffffu) | 0x10000000000000u;
  int power = static_cast<int>(bits >> 52) - 1075;
  if (power >= 0) return (mantissa << power) * 1000 == thousandths;
  unsigned __int128 one = static_cast<unsigned __int128>(1) << -power;
  unsigned __int128 a = mantissa * 1000, b = thousandths * one;
  return (a > b ? a - b : b - a) * 2 < one;
}

inline Reason numeric(Span text, bool free, Number &number) {
  if (free) {
    text = stripped(text);
    if (!text.size) return BLANK;
  }
  if (!read_number(text, free, number)) return NO_NUMBER;
  return !number.zero() && number.places() > LARGEST_DIGITS ? TOO_LARGE : FITS;
}

// Read what is nothing but digits, and few, as nearly all numbers are.
inline bool read_digits(Span text, i64 &value) {
  if (text.size > 18 || !text.size) return false;
  u64 made = 0;
  std::size_t i = 0;
  while (i < text.size && is_digit(text.data[i])) made = made * 10 + (text.data[i++] - '0');
  value = static_cast<i64>(made);
  return i == text.size;
}

inline Reason read_integer(Span text, bool free, i64 &value) {
  if (read_digits(text, value)) return FITS;
  Number number;
  if (Reason reason = numeric(text, free, number)) return reason;
  if (!number.whole()) return NO_WHOLE_NUMBER;
  u64 made;
  if (!whole_number(number, made)) return NOT_64_BITS;
  if (made > u64(INT64_MAX) + number.negative) return NOT_64_BITS;
  value = static_cast<i64>(number.negative ? 0 - made : made);
  return FITS;
}

inline Reason read_whole_points(Span text, bool free, i64 &value) {
  if (read_digits(text, value)) return FITS;
  Number number;
  if (Reason reason = numeric(text, free, number)) return reason;
  if (!number.whole()) return NO_WHOLE_POINTS;
  if (number.negative && !number.zero()) return NEGATIVE;
  u64 made;
  if (!whole_number(number, made) || made >= POINTS_LIMIT) return TOO_MANY_POINTS;
  value = static_cast<i64>(made);
  return FITS;
}

inline Reason read_decimal_points(Span text, bool free, double &value) {
  Number number;
  if (Reason reason = numeric(text, free, number)) return reason;
  value = nearest(number);
  if (value < 0) return NEGATIVE;
  if (value >= static_cast<double>(POINTS_LIMIT)) return TOO_MANY_POINTS;
  if (number.zero()) return value = 0.0, FITS;
  if (number.exponent < -3) return DECIMAL_PLACES;
  return places_survive(number, value) ? FITS : INEXACT_POINTS;
}

inline Reason read_amount(Span text, bool free, double &value) {
  Number number;
  if (Reason reason = numeric(text, free, number)) return reason;
  value = nearest(number) + 0.0; // never -0.0
  if (value == 0) value = 0.0;
  return FITS;
}

// Days from 1970-01-01, in the calendar that goes on backwards.
inline i64 days_of(i64 year, int month, int day) {
  year -= month <= 2;
  i64 era = (year >= 0 ? year : year - 399) / 400;
  i64 of_era = year - era * 400;
  i64 of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

inline int days_in(int year, int month) {
  static const u8 days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
  return days[month - 1] + (month == 2 && leap);
}

inline bool two_digits(const u8 *at, int &value) {
  if (!is_digit(at[0]) || !is_digit(at[1])) return false;
  value = (at[0] - '0') * 10 + (at[1] - '0');
  return true;
}

constexpr i64 SECOND = 1000000;

struct Moment {
  i64 microseconds = 0; // since 1970, in UTC where there is an offset
  bool offset = false;
};

// A time as it is written, its parts not yet looked at.
struct Written {
  int year, month, day;
  int hour = 0, minute = 0, second = 0;
  i64 microsecond = 0;
  bool before_christ = false;
  bool offset = false, west = false;
  int hours = 0, minutes = 0; // of the offset
};

// Read an offset: Z or hours, and minutes, with or without a colon.
inline bool read_offset(const u8 *at, const u8 *end, Written &time) {
  time.offset = true;
  if (end - at == 1 && (*at | 32) == 'z') return true;
  if (end - at < 2 || (*at != '+' && *at != '-')) return false;
  time.west = *at++ == '-';
  int digits = 0;
  while (at + digits < end && is_digit(at[digits])) digits++;
  if (digits == 4) return end - at == 4 && two_digits(at, time.hours) && two_digits(at + 2, time.minutes);
  if (digits < 1 || digits > 2) return false;
  for (int i = 0; i < digits; i++) time.hours = time.hours * 10 + (*at++ - '0');
  if (at == end) return true;
  return *at == ':' && end - at == 3 && two_digits(at + 1, time.minutes);
}

// Read the form YYYY-MM-DD HH:MM:SS.ffffff, of which the end may be missing, and an offset.
inline bool read_written(const u8 *at, const u8 *end, Written &time) {
  if (at < end && *at == '-') time.before_christ = true, at++;
  int century, years;
  if (end - at < 10 || !two_digits(at, century) || !two_digits(at + 2, years) || at[4] != '-' ||
      !two_digits(at + 5, time.month) || at[7] != '-' || !two_digits(at + 8, time.day))
    return false;
  time.year = century * 100 + years;
  at += 10;
  if (at == end) return true;
  if (*at != ' ' && *at != 'T') return false;
  at++;
  if (end - at < 2 || !two_digits(at, time.hour) || time.hour > 23) return false;
  at += 2;
  if (end - at >= 3 && *at == ':' && two_digits(at + 1, time.minute)) {
    at += 3;
    if (end - at >= 3 && *at == ':' && two_digits(at + 1, time.second)) {
      at += 3;
      if (end - at >= 2 && *at == '.' && is_digit(at[1])) {
        at++;
        i64 unit = SECOND / 10;
        for (; at < end && is_digit(*at) && unit; at++, unit /= 10)
          time.microsecond += (*at - '0') * unit;
      }
    }
  }
  while (at < end && *at == ' ') at++;
  return at == end ? end[-1] != ' ' : read_offset(at, end, time);
}

[[gnu::noinline]] inline Reason read_time(Span text, const NoTimes &none, bool offsets, Moment &moment) {
  text = stripped(text);
  if (!text.size) return BLANK;
  Written time;
  if (!read_written(text.data, text.data + text.size, time)) return NO_TIME_FORM;
  if ((*text.data == '0' || *text.data == '-') && none.holds(text)) return BLANK;
  if (time.before_christ || time.year < 1 || time.month < 1 || time.month > 12 || time.day < 1 ||
      time.day > days_in(time.year, time.month) || time.minute > 59 || time.second > 59 ||
      time.hours > 23 || time.minutes > 59)
    return NO_TIME_FORM;
  i64 day = days_of(time.year, time.month, time.day);
  i64 seconds = day * 86400 + time.hour * 3600 + time.minute * 60 + time.second;
  moment.microseconds = seconds * SECOND + time.microsecond;
  // What is no time in any zone is not moved.
  if (!time.offset || (moment.microseconds >= none.first && moment.microseconds <= none.last))
    return FITS;
  if (!offsets) return OFFSET;
  i64 ahead = time.hours * 3600 + time.minutes * 60;
  seconds += time.west ? ahead : -ahead;
  moment.microseconds = seconds * SECOND + time.microsecond;
  moment.offset = true;
  // A day is left at both ends of the calendar, for the zone to move the time in.
  if (seconds < days_of(1, 1, 2) * 86400 || seconds >= days_of(9999, 12, 31) * 86400)
    return OUT_OF_RANGE;
  return FITS;
}

inline Reason read_truth(Span text, bool &value) {
  text = stripped(text);
  if (!text.size) return BLANK;
  auto is = [&](const char *word) {
    if (text.size != std::strlen(word)) return false;
    for (std::size_t i = 0; i < text.size; i++) {
      u8 c = text.data[i];
      if (c >= 'A' && c <= 'Z') c |= 32;
      if (c != static_cast<u8>(word[i])) return false;
    }
    return true;
  };
  if (is("true") || is("1")) return value = true, FITS;
  if (is("false") || is("0")) return value = false, FITS;
  return NO_TRUTH;
}

// Write a decimal number as Python's Decimal does; give how many bytes it takes, or would take
// where there is no room for them.
inline std::size_t write_decimal(Span text, u8 *to) {
  const u8 *at = text.data, *end = at + text.size;
  u8 *start = to;
  if (*at == '-') *to++ = *at++;
  const u8 *digits = at;
  i64 fraction = 0;
  bool point = false;
  for (; at < end && (is_digit(*at) || *at == '.'); at++) {
    if (*at == '.') point = true;
    else fraction += point;
  }
  const u8 *written = at;
  i64 exponent = 0;
  if (at < end) {
    bool below = *++at == '-';
    if (*at == '-' || *at == '+') at++;
    for (; at < end; at++)
      if (exponent < 100000000000000000) exponent = exponent * 10 + (*at - '0');
    if (below) exponent = -exponent;
  }
  exponent -= fraction;
  // The digits without the zeros before them, the last one always.
  u8 *first = to;
  for (const u8 *digit = digits; digit < written; digit++) {
    if (*digit == '.') continue;
    if (to == first + 1 && *first == '0') to = first;
    *to++ = *digit;
  }
  i64 count = to - first;
  i64 left = exponent + count; // places before the point
  if (exponent == 0) return static_cast<std::size_t>(to - start);
  bool plain = exponent <= 0 && left > -6;
  i64 dot = plain ? left : 1;
  if (dot <= 0) {
    std::memmove(first + 2 - dot, first, static_cast<std::size_t>(count));
    std::memset(first, '0', static_cast<std::size_t>(2 - dot));
    first[1] = '.';
    to += 2 - dot;
  } else if (dot < count) {
    std::memmove(first + dot + 1, first + dot, static_cast<std::size_t>(count - dot));
    first[dot] = '.';
    to++;
  }
  if (!plain && left != dot) {
    i64 power = left - dot;
    *to++ = 'E';
    *to++ = power < 0 ? '-' : '+';
    if (power < 0) power = -power;
    u8 reversed[24];
    int figures = 0;
    do reversed[figures++] = static_cast<u8>('0' + power % 10);
    while (power /= 10);
    while (figures) *to++ = reversed[--figures];
  }
  return static_cast<std::size_t>(to - start);
}

} // namespace reader
