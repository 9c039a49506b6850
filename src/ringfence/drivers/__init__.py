"""The hands: places where desired state is made true. They see the contract, never the reasoning."""
