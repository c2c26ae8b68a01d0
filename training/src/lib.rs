//! Makes training data for the nano weights from the simulator's scripted expert.
