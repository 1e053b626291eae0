/// SHA-256 of bytes, for goldens: neither Foundation nor the standard library has one on every system.
///
/// Source: FIPS 180-4, sections 4.1.2, 4.2.2, 5.3.3 and 6.2.
func sha256(_ message: [UInt8]) -> String {
  var state: [UInt32] = primes(8).map { fractionBits(Double($0).squareRoot()) }
  let constants = primes(64).map { fractionBits(cubeRoot(Double($0))) }
  var padded = message + [0x80]
  padded += [UInt8](repeating: 0, count: (120 - padded.count % 64) % 64)
  padded += (0..<8).map { UInt8(truncatingIfNeeded: (message.count * 8) >> (56 - 8 * $0)) }
  var schedule = [UInt32](repeating: 0, count: 64)
  for block in stride(from: 0, to: padded.count, by: 64) {
    for word in 0..<16 {
      schedule[word] = (0..<4).reduce(0) { $0 << 8 | UInt32(padded[block + 4 * word + $1]) }
    }
    compress(&schedule, constants, &state)
  }
  return state.map { word in
    let digits = String(word, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }.joined()
}

private func compress(_ w: inout [UInt32], _ constants: [UInt32], _ state: inout [UInt32]) {
  for t in 16..<64 {
    let s0 = rotated(w[t - 15], 7) ^ rotated(w[t - 15], 18) ^ (w[t - 15] >> 3)
    let s1 = rotated(w[t - 2], 17) ^ rotated(w[t - 2], 19) ^ (w[t - 2] >> 10)
    w[t] = w[t - 16] &+ s0 &+ w[t - 7] &+ s1
  }
  var (a, b, c, d) = (state[0], state[1], state[2], state[3])
  var (e, f, g, h) = (state[4], state[5], state[6], state[7])
  for t in 0..<64 {
    let sum1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)
    let t1 = h &+ sum1 &+ ((e & f) ^ (~e & g)) &+ constants[t] &+ w[t]
    let sum0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)
    let t2 = sum0 &+ ((a & b) ^ (a & c) ^ (b & c))
    (a, b, c, d, e, f, g, h) = (t1 &+ t2, a, b, c, d &+ t1, e, f, g)
  }
  for (index, value) in [a, b, c, d, e, f, g, h].enumerated() { state[index] &+= value }
}

private func rotated(_ word: UInt32, _ bits: UInt32) -> UInt32 { word >> bits | word << (32 - bits) }

private func primes(_ count: Int) -> [Int] {
  var found: [Int] = []
  var candidate = 2
  while found.count < count {
    if found.allSatisfy({ candidate % $0 != 0 }) { found.append(candidate) }
    candidate += 1
  }
  return found
}

/// First 32 bits of the fractional part.
private func fractionBits(_ value: Double) -> UInt32 {
  UInt32((value - value.rounded(.down)) * 4_294_967_296)
}

/// By Newton's method: to the last bits of a Double, of which 32 after the point are needed.
private func cubeRoot(_ value: Double) -> Double {
  (0..<60).reduce(value) { root, _ in root - (root * root * root - value) / (3 * root * root) }
}
