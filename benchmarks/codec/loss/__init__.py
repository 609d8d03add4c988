"""Codecs judged by loss: what an update loses that was decoded, and how federated training goes."""
