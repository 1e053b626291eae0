// The part of Apple's Core ML framework that HTDemucsKit uses, for systems that lack the framework.
//
// Names, types and behaviour are those that Apple documents at developer.apple.com/documentation/coreml and in the
// headers of its SDKs; FrameworkContractTests states them and runs against the framework too. Predictions are made by the
// project's interpreter of packages in a child process; see InterpreterProcess.swift.

import Foundation

/// The domain of the framework's errors.
public let MLModelErrorDomain = "com.apple.CoreML"

/// Codes of errors in `MLModelErrorDomain`, with the values of Apple's `MLModelError`.
enum ErrorCode: Int {
  case generic = 0
  case featureType = 1
  case io = 3
}

/// An error of the framework.
func modelError(_ code: ErrorCode, _ message: String) -> NSError {
  NSError(domain: MLModelErrorDomain, code: code.rawValue, userInfo: [NSLocalizedDescriptionKey: message])
}
