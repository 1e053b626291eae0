import Foundation

/// How many mutations a test feeds a reader: as many as HTDEMUCS_MUTATIONS says, or a few.
///
/// `just fuzz-swift` sets the variable.
func mutationCount(otherwise few: Int) -> Int {
  ProcessInfo.processInfo.environment["HTDEMUCS_MUTATIONS"].flatMap(Int.init) ?? few
}

/// Random numbers that are the same every time.
///
/// Source: Vigna, "splitmix64", 2015.
struct SplitMix: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}

/// Bytes with a few of them changed, exchanged, left out or repeated, mostly at the beginning, where headers are.
func mutated(_ original: [UInt8], _ random: inout SplitMix) -> [UInt8] {
  var bytes = original
  for _ in 0..<Int.random(in: 1...5, using: &random) where !bytes.isEmpty {
    let reach = Bool.random(using: &random) ? min(bytes.count, 64) : bytes.count
    let place = Int.random(in: 0..<reach, using: &random)
    switch Int.random(in: 0..<5, using: &random) {
    case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
    case 1: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 2: bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...16, using: &random)))
    case 3: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 8)], at: place)
    default:
      for index in place..<min(bytes.count, place + 4) {
        bytes[index] = [0, 0xFF, 0x7F, 0x80].randomElement(using: &random) ?? 0
      }
    }
  }
  return bytes
}
