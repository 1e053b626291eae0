// swift-tools-version: 6.0

import PackageDescription

/// Targets that carry the names of Apple's frameworks where these do not exist, so that the very same sources build
/// and are tested there. A contract test per target states what Apple documents and runs on every system.
#if os(Linux)
  let frameworkNames = ["Accelerate", "AVFoundation", "CoreML", "CryptoKit", "os"]
  let standIns: [Target] = [
    .target(
      name: "Accelerate", path: "swift/Sources/StandIns/Accelerate", linkerSettings: [.linkedLibrary("m")]),
    .target(
      name: "AVFoundation", dependencies: ["CSndfile", "CSoxr"], path: "swift/Sources/StandIns/AVFoundation"),
    .target(name: "CoreML", dependencies: ["os"], path: "swift/Sources/StandIns/CoreML"),
    .target(name: "CryptoKit", dependencies: ["CLibcrypto"], path: "swift/Sources/StandIns/CryptoKit"),
    .target(name: "os", path: "swift/Sources/StandIns/os"),
    .systemLibrary(
      name: "CSndfile", path: "swift/Sources/StandIns/CSndfile", pkgConfig: "sndfile",
      providers: [.apt(["libsndfile1-dev"])]),
    .systemLibrary(
      name: "CSoxr", path: "swift/Sources/StandIns/CSoxr", pkgConfig: "soxr", providers: [.apt(["libsoxr-dev"])]),
    .systemLibrary(
      name: "CLibcrypto", path: "swift/Sources/StandIns/CLibcrypto", pkgConfig: "libcrypto",
      providers: [.apt(["libssl-dev"])]),
  ]
#else
  let frameworkNames: [String] = []
  let standIns: [Target] = []
#endif

let frameworks = frameworkNames.map { Target.Dependency.target(name: $0) }

let package = Package(
  name: "HTDemucsKit",
  platforms: [.macOS(.v15), .iOS(.v18)],
  products: [
    .library(name: "HTDemucsKit", targets: ["HTDemucsKit"]),
    .executable(name: "htdemucs", targets: ["htdemucs"]),
  ],
  targets: [
    .target(name: "HTDemucsKit", dependencies: frameworks, path: "swift/Sources/HTDemucsKit"),
    .target(name: "HTDemucsCommand", dependencies: ["HTDemucsKit"], path: "swift/Sources/HTDemucsCommand"),
    .executableTarget(name: "htdemucs", dependencies: ["HTDemucsCommand"], path: "swift/Sources/htdemucs"),
    .testTarget(
      name: "HTDemucsKitTests", dependencies: ["HTDemucsKit"], path: "swift/Tests/HTDemucsKitTests"),
    .testTarget(
      name: "HTDemucsCommandTests", dependencies: ["HTDemucsCommand"], path: "swift/Tests/HTDemucsCommandTests"),
    .testTarget(
      name: "FrameworkContractTests", dependencies: frameworks, path: "swift/Tests/FrameworkContractTests"),
  ] + standIns,
  swiftLanguageModes: [.v6],
  cLanguageStandard: .c11
)
