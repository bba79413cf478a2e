"""The SAM 2 network: stateless, in torch, under the parameter names of the released checkpoints."""
