"""What several programs of OpenStack load of ours; `oslo` says which."""
