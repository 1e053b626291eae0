import CoreML
import XCTest

/// What Apple documents of `MLMultiArray`; on Linux it is the stand-in that has to comply.
///
/// Sources: developer.apple.com/documentation/coreml/mlmultiarray and the header MLMultiArray.h of Apple's SDKs.
final class MultiArrayTests: XCTestCase {
  func testANewArrayIsContiguousWithTheLastDimensionInnermost() throws {
    let array = try MLMultiArray(shape: [2, 3, 4], dataType: .float32)
    XCTAssertEqual(array.shape, [2, 3, 4])
    XCTAssertEqual(array.strides, [12, 4, 1])
    XCTAssertEqual(array.count, 24)
    XCTAssertEqual(array.dataType, .float32)
    array.withUnsafeBytes { XCTAssertEqual($0.count, 24 * 4) }
  }

  func testEveryDataTypeHasItsSize() throws {
    let sizes: [(MLMultiArrayDataType, Int)] = [(.double, 8), (.float32, 4), (.float16, 2), (.int32, 4)]
    for (dataType, size) in sizes {
      let array = try MLMultiArray(shape: [5, 3], dataType: dataType)
      array.withUnsafeBytes { XCTAssertEqual($0.count, 15 * size) }
    }
  }

  func testDataTypesHaveApplesRawValues() {
    XCTAssertEqual(MLMultiArrayDataType.double.rawValue, 0x10000 | 64)
    XCTAssertEqual(MLMultiArrayDataType.float32.rawValue, 0x10000 | 32)
    XCTAssertEqual(MLMultiArrayDataType.float16.rawValue, 0x10000 | 16)
    XCTAssertEqual(MLMultiArrayDataType.int32.rawValue, 0x20000 | 32)
  }

  func testAnElementLiesAtTheSumOfIndicesTimesStrides() throws {
    let array = try MLMultiArray(shape: [2, 3], dataType: .int32)
    array.withUnsafeMutableBytes { bytes, strides in
      let elements = bytes.bindMemory(to: Int32.self)
      for row in 0..<2 {
        for column in 0..<3 { elements[row * strides[0] + column * strides[1]] = Int32(10 * row + column) }
      }
    }
    array.withUnsafeBytes {
      let elements = $0.bindMemory(to: Int32.self)
      XCTAssertEqual(Array(elements), [0, 1, 2, 10, 11, 12])
    }
  }

  func testAnArrayOverOnesOwnMemoryIsNoCopy() throws {
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: 8)
    defer { memory.deallocate() }
    memory.update(from: (0..<8).map(Float.init), count: 8)
    // Two rows of three, and one element between them.
    let array = try MLMultiArray(dataPointer: memory, shape: [2, 3], dataType: .float32, strides: [4, 1])
    XCTAssertEqual(array.shape, [2, 3])
    XCTAssertEqual(array.strides, [4, 1])
    XCTAssertEqual(array.count, 6)
    array.withUnsafeBytes {
      XCTAssertEqual($0.baseAddress, UnsafeRawPointer(memory))
      XCTAssertEqual($0.load(fromByteOffset: (1 * 4 + 2) * 4, as: Float.self), 6)
    }
    array.withUnsafeMutableBytes { bytes, strides in
      XCTAssertEqual(strides, [4, 1])
      bytes.storeBytes(of: 60, toByteOffset: (strides[0] + 2 * strides[1]) * 4, as: Float.self)
    }
    XCTAssertEqual(memory[6], 60)
    withExtendedLifetime(array) {}
  }

  func testTheDeallocatorIsCalledOnceWhenTheArrayGoes() throws {
    let memory = UnsafeMutablePointer<Float>.allocate(capacity: 4)
    defer { memory.deallocate() }
    let address = UInt(bitPattern: memory)
    let calls = expectation(description: "called with the pointer")
    calls.assertForOverFulfill = true
    try releasing {
      let array = try MLMultiArray(dataPointer: memory, shape: [4], dataType: .float32, strides: [1]) { pointer in
        XCTAssertEqual(UInt(bitPattern: pointer), address)
        calls.fulfill()
      }
      XCTAssertEqual(array.count, 4)
    }
    wait(for: [calls], timeout: 0)
  }

  func testTheBodysResultAndErrorsPassThrough() throws {
    struct Stop: Error {}
    let array = try MLMultiArray(shape: [1], dataType: .float32)
    XCTAssertEqual(array.withUnsafeBytes { $0.count }, 4)
    XCTAssertEqual(array.withUnsafeMutableBytes { bytes, _ in bytes.count }, 4)
    XCTAssertThrowsError(try array.withUnsafeBytes { _ in throw Stop() }) { XCTAssertTrue($0 is Stop) }
    XCTAssertThrowsError(try array.withUnsafeMutableBytes { _, _ in throw Stop() }) { XCTAssertTrue($0 is Stop) }
  }

  #if os(Linux)
    func testTheStandInsNewArraysHoldNaNSoThatNobodyReliesOnZeros() throws {
      let array = try MLMultiArray(shape: [3], dataType: .float32)
      array.withUnsafeBytes { XCTAssertTrue($0.bindMemory(to: Float.self).allSatisfy(\.isNaN)) }
    }

    func testTheStandInRefusesWhatIsNoArray() {
      for shape in [[], [0], [2, -1], [Int.max, 2]] {
        XCTAssertThrowsError(try MLMultiArray(shape: shape as [NSNumber], dataType: .float32), "\(shape)") {
          XCTAssertEqual(($0 as NSError).domain, MLModelErrorDomain)
        }
      }
      let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 4)
      defer { memory.deallocate() }
      for strides in [[], [1], [-4, 1], [1, 1, 1], [Int.max, 1]] {
        XCTAssertThrowsError(
          try MLMultiArray(
            dataPointer: memory, shape: [3, 4], dataType: .float32, strides: strides as [NSNumber],
            deallocator: { _ in XCTFail("an array that never was is not deallocated") }), "\(strides)")
      }
    }
  #endif
}

/// Runs a body, and lets go of all that it made.
private func releasing(_ body: () throws -> Void) rethrows {
  #if canImport(ObjectiveC)
    try autoreleasepool(invoking: body)
  #else
    try body()
  #endif
}
